//! Chance that can be repeated: the same seed, route, fault and connection always give the same numbers, whichever
//! thread asks and in whatever order connections are served.

/// A sequence of random numbers (`SplitMix64`, Steele, Lea and Flood, 2014): small, fast and good enough to decide what
/// goes wrong.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The sequence of a thing that is known by these words and this number.
    pub(crate) fn of(seed: u64, words: &[&str], number: u64) -> Self {
        // FNV-1a, with a byte between words that occurs in none of them.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in words.iter().flat_map(|word| word.bytes().chain([0xff])) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let mut chance =
            Self(seed ^ hash.rotate_left(17) ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // The first number of neighbouring seeds would look alike.
        chance.next();
        chance
    }

    /// The next number, all 64 bits of it random.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to just below 1.
    #[allow(clippy::cast_precision_loss, reason = "53 bits are what a float holds")]
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// How many misses come before the next hit, each try hitting with that probability (a geometric distribution).
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float that is too large becomes the largest number, which is as good"
    )]
    pub(crate) fn misses(&mut self, probability: f64) -> u64 {
        if probability >= 1.0 {
            return 0;
        }
        if probability <= 0.0 {
            return u64::MAX;
        }
        ((1.0 - self.share()).ln() / (1.0 - probability).ln()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_another_one_does_not() {
        let first = |seed, number| Chance::of(seed, &["db", "latency"], number).next();
        assert_eq!(first(1, 7), first(1, 7));
        assert_ne!(first(1, 7), first(2, 7));
        assert_ne!(first(1, 7), first(1, 8));
        assert_ne!(
            Chance::of(1, &["ab", "c"], 0).next(),
            Chance::of(1, &["a", "bc"], 0).next()
        );
    }

    #[test]
    fn shares_are_even_and_hits_as_frequent_as_asked_for() {
        let below_a_third = (0..3000)
            .filter(|number| Chance::of(42, &["r"], *number).share() < 1.0 / 3.0)
            .count();
        assert!((850..1150).contains(&below_a_third), "{below_a_third}");
        let mut chance = Chance::of(42, &["r"], 0);
        let misses: u64 = (0..1000).map(|_| chance.misses(0.01)).sum();
        assert!((85_000..115_000).contains(&misses), "{misses}");
        assert_eq!(chance.misses(1.0), 0);
    }
}
