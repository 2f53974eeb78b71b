//! Patterns of `ssh_config` and `known_hosts`: `*`, `?`, and lists in which `!` excludes.

/// Whether a text matches a pattern in which `*` is anything and `?` one character.
pub(crate) fn matches(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) =
        (text.chars().collect(), pattern.chars().collect());
    let (mut at, mut of) = (0, 0);
    // Where to go on when what follows the last star does not fit.
    let mut star: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(of) {
            Some('*') => {
                star = Some((at, of));
                of += 1;
            }
            Some(c) if *c == '?' || *c == text[at] => {
                at += 1;
                of += 1;
            }
            _ => match star {
                Some((text_at, star_at)) => {
                    star = Some((text_at + 1, star_at));
                    at = text_at + 1;
                    of = star_at + 1;
                }
                None => return false,
            },
        }
    }
    pattern[of..].iter().all(|c| *c == '*')
}

/// Whether one of the patterns matches and none of those with `!` before them does.
pub(crate) fn matches_list<'a>(text: &str, patterns: impl IntoIterator<Item = &'a str>) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(excluded) if matches(text, excluded) => return false,
            Some(_) => {}
            None => found |= matches(text, pattern),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (text, pattern, fits) in [
            ("db1", "db?", true),
            ("db", "db?", false),
            ("a.b.example.com", "*.example.com", true),
            ("example.com", "*.example.com", false),
            ("aXbXc", "a*b*c", true),
            ("aXbX", "a*b*c", false),
            ("", "*", true),
            ("", "", true),
            ("x", "", false),
        ] {
            assert_eq!(matches(text, pattern), fits, "{text} {pattern}");
        }
    }

    #[test]
    fn what_is_excluded_never_matches() {
        assert!(matches_list("a", ["*", "!b"]));
        assert!(!matches_list("b", ["*", "!b"]));
        assert!(!matches_list("a", ["!b"]));
    }

    #[test]
    fn many_stars_take_no_time() {
        let text = "a".repeat(2000);
        let pattern = "*a".repeat(500) + "b";
        assert!(!matches(&text, &pattern));
    }
}
