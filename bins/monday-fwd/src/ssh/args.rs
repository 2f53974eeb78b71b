//! The arguments of ssh(1) that users write: `-i`, `-p`, `-o`, `-J`, `-F`, `-l`, glued to their values or apart.

use super::config::Ignored;

/// Arguments that were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Args {
    /// Which file to read instead of the usual ones.
    pub(crate) file: File,
    /// What they say, as directives with the argument that says it, in their order.
    directives: Vec<(String, String)>,
    /// What is not honoured.
    pub(crate) ignored: Vec<Ignored>,
}

/// Which files are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum File {
    /// The user's and the system's.
    #[default]
    Usual,
    /// This one.
    This(String),
    /// None.
    None,
}

/// Flags that take no value and mean nothing to a connection that only forwards and never asks.
const MEANINGLESS: &str = "aACfgGkKMnNqsTtvxXyY";

/// Flags that take a value and are not honoured.
const WITH_VALUE: &str = "BbcDEeIkLmOPQRSWw";

impl Args {
    /// Reads arguments as they are written for ssh(1).
    ///
    /// # Errors
    /// A flag without its value, or something that is no flag.
    pub(crate) fn read(words: &[String]) -> Result<Self, String> {
        let mut args = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let Some(letters) = word.strip_prefix('-').filter(|rest| !rest.is_empty()) else {
                return Err(format!(
                    "`{word}` is no argument of ssh: they begin with -, as in `-p 2222`"
                ));
            };
            args.letters(word, letters, &mut words)?;
        }
        Ok(args)
    }

    /// Reads `-4vp2222`: letters without values, then perhaps one with its value.
    fn letters<'a>(
        &mut self,
        word: &str,
        letters: &str,
        words: &mut impl Iterator<Item = &'a String>,
    ) -> Result<(), String> {
        let mut rest = letters.chars();
        while let Some(letter) = rest.next() {
            let flag = format!("-{letter}");
            let takes_value = "ipoJFl".contains(letter) || WITH_VALUE.contains(letter);
            if !takes_value {
                match letter {
                    '4' => self.add(&flag, "AddressFamily inet"),
                    '6' => self.add(&flag, "AddressFamily inet6"),
                    meaningless if MEANINGLESS.contains(meaningless) => {}
                    _ => self.ignore(word, &flag),
                }
                continue;
            }
            let glued = rest.as_str();
            let value = if glued.is_empty() {
                words
                    .next()
                    .ok_or_else(|| format!("`{word}` needs a value after it"))?
                    .clone()
            } else {
                glued.to_owned()
            };
            self.value(letter, &flag, &value);
            return Ok(());
        }
        Ok(())
    }

    fn value(&mut self, letter: char, flag: &str, value: &str) {
        let quoted = || quote(value);
        match letter {
            'i' => self.add(flag, &format!("IdentityFile {}", quoted())),
            'p' => self.add(flag, &format!("Port {}", quoted())),
            'l' => self.add(flag, &format!("User {}", quoted())),
            'J' => self.add(flag, &format!("ProxyJump {}", quoted())),
            'b' => self.add(flag, &format!("BindAddress {}", quoted())),
            'c' => self.add(flag, &format!("Ciphers {}", quoted())),
            'm' => self.add(flag, &format!("MACs {}", quoted())),
            'P' => self.add(flag, &format!("Tag {}", quoted())),
            'o' => self.add(flag, value),
            'F' if value == "none" => self.file = File::None,
            'F' => self.file = File::This(value.to_owned()),
            _ => self.ignore(&format!("{flag} {value}"), flag),
        }
    }

    fn add(&mut self, flag: &str, directive: &str) {
        self.directives.push((
            format!("the argument {flag} {directive}"),
            directive.to_owned(),
        ));
    }

    fn ignore(&mut self, place: &str, keyword: &str) {
        self.ignored.push(Ignored {
            place: format!("the argument {place}"),
            keyword: keyword.to_owned(),
        });
    }

    /// What they say, as lines of `ssh_config`, each with where it was said.
    pub(crate) fn directives(&self) -> impl Iterator<Item = (String, String)> {
        self.directives.iter().cloned()
    }

    /// The same arguments for a server on the way: what is about the target itself is left out, as ssh(1) does it.
    pub(crate) fn for_jump(&self) -> Self {
        Self {
            file: self.file.clone(),
            directives: Vec::new(),
            ignored: Vec::new(),
        }
    }

    /// One more thing said, after all others.
    pub(crate) fn and(mut self, directive: &str) -> Self {
        self.add("-o", directive);
        self
    }
}

/// A value in quotes, as `ssh_config` reads them.
fn quote(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Args, String> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        Args::read(&words)
    }

    fn said(words: &[&str]) -> Vec<String> {
        let args = read(words).unwrap();
        args.directives().map(|(_, directive)| directive).collect()
    }

    #[test]
    fn values_are_glued_or_apart() {
        let apart = ["-p", "2222", "-i", "a b", "-l", "me", "-o", "BatchMode yes"];
        let glued = ["-p2222", "-ia b", "-lme", "-oBatchMode yes"];
        assert_eq!(said(&apart), said(&glued));
        assert_eq!(
            said(&glued),
            [
                "Port \"2222\"",
                "IdentityFile \"a b\"",
                "User \"me\"",
                "BatchMode yes"
            ]
        );
        assert_eq!(said(&["-Nvp22"]), ["Port \"22\""]);
    }

    #[test]
    fn what_is_not_honoured_is_named() {
        let args = read(&["-N", "-R", "1:2:3", "-z"]).unwrap();
        let named: Vec<_> = args.ignored.iter().map(|i| i.place.as_str()).collect();
        assert_eq!(named, ["the argument -R 1:2:3", "the argument -z"]);
        assert!(read(&["-p"]).unwrap_err().contains("needs a value"));
        assert!(read(&["host"]).unwrap_err().contains("no argument of ssh"));
        assert_eq!(read(&["-F", "none"]).unwrap().file, File::None);
    }
}
