//! "Did you mean": the known word nearest to one that is not known.

/// How many letters may differ. More, and the guess is more often wrong than right.
const FARTHEST: usize = 2;

/// Longer words are not compared, and not more than so many: the cost of a comparison is the product of the lengths, and
/// a hostile file has many long names.
const LONGEST_WORD_BYTES: usize = 40;
const MOST_CANDIDATES: usize = 1000;

/// The known word nearest to this one, if any is near.
///
/// For a short word two edits could make anything of it, so at least one letter of three has to stay.
#[must_use]
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST_WORD_BYTES {
        return None;
    }
    let lower = word.to_lowercase();
    let limit = FARTHEST.min(word.chars().count() * 2 / 3);
    known
        .into_iter()
        .take(MOST_CANDIDATES)
        .filter(|candidate| candidate.len() <= LONGEST_WORD_BYTES)
        .map(|candidate| {
            // A swap of neighbours is one mistake, and so is a wrong case.
            let distance = strsim::osa_distance(&lower, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|&(distance, _)| distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_edits_are_near_and_three_are_not() {
        let known = ["hostname", "path", "env", "run"];
        assert_eq!(nearest("hotsname", known), Some("hostname"));
        assert_eq!(nearest("host_nam", known), Some("hostname"));
        assert_eq!(nearest("hstnm", known), None);
        assert_eq!(nearest("PATH", known), Some("path"));
        assert_eq!(nearest("evn", known), Some("env"));
        assert_eq!(nearest("a", known), None);
        assert_eq!(nearest("xy", known), None);
    }

    #[test]
    fn the_nearest_wins() {
        assert_eq!(
            nearest("command", ["commands", "comment"]),
            Some("commands")
        );
    }

    #[test]
    fn endless_words_are_not_compared() {
        let long = "x".repeat(1_000_000);
        assert_eq!(nearest(&long, [long.as_str()]), None);
        assert_eq!(nearest("xx", [long.as_str()]), None);
    }
}
