//! What is said when the system allows no more inotify watches: the limit by its name, its value, what is needed, what is
//! done instead and how to raise it.

/// The limits of inotify: the name of the sysctl and its value, where they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// How many watches a user may have, over all programs.
    pub watches: Option<(&'static str, u64)>,
    /// How many inotify instances a user may have.
    pub instances: Option<(&'static str, u64)>,
}

/// Which limit was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    /// That of watches.
    Watches {
        /// How many are needed for this path.
        needed: u64,
    },
    /// That of instances.
    Instances,
}

/// What large projects set their machines to; it costs memory only as far as it is used.
const USUAL_WATCHES: u64 = 524_288;

/// The same for instances.
const USUAL_INSTANCES: u64 = 1024;

impl Exhausted {
    /// Says so, for a person.
    #[must_use]
    pub fn explain(self, limits: Limits) -> String {
        let (what, limit, unknown, raised) = match self {
            Self::Watches { needed } => (
                format!("{needed} inotify watches are needed"),
                limits.watches,
                "fs.inotify.max_user_watches",
                USUAL_WATCHES.max(needed.saturating_mul(2).next_power_of_two()),
            ),
            Self::Instances => (
                "an inotify instance is needed".to_owned(),
                limits.instances,
                "fs.inotify.max_user_instances",
                USUAL_INSTANCES,
            ),
        };
        let (name, allowed) = match limit {
            Some((name, value)) => (name, format!("{name} is {value} for all programs together")),
            None => (unknown, format!("{unknown} allows no more")),
        };
        format!(
            "polled, which is slower and costs processor time: {what}, and {allowed}; to raise it: `sudo sysctl {name}={raised}`, and to keep it: `echo {name}={raised} | sudo tee /etc/sysctl.d/90-inotify.conf`"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        watches: Some(("fs.inotify.max_user_watches", 8192)),
        instances: Some(("fs.inotify.max_user_instances", 128)),
    };

    #[test]
    fn the_message_has_the_sysctl_its_value_the_number_needed_and_a_command() {
        let text = Exhausted::Watches { needed: 11_532 }.explain(LIMITS);
        for part in [
            "11532 inotify watches",
            "fs.inotify.max_user_watches is 8192",
            "sudo sysctl fs.inotify.max_user_watches=524288",
            "polled",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn the_value_that_is_proposed_is_always_enough() {
        let text = Exhausted::Watches { needed: 600_000 }.explain(Limits::default());
        assert!(
            text.contains("fs.inotify.max_user_watches=2097152"),
            "{text}"
        );
    }

    #[test]
    fn instances_have_a_limit_of_their_own() {
        let text = Exhausted::Instances.explain(LIMITS);
        assert!(text.contains("max_user_instances is 128"), "{text}");
    }
}
