//! What stands for something else in the values of `ssh_config`: `%h`, `~` and `${NAME}`.

use std::path::Path;

/// What the percent signs stand for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tokens {
    /// `%h`: the host that is connected to.
    pub(crate) host: String,
    /// `%n`: the host as it was given.
    pub(crate) original_host: String,
    /// `%p`.
    pub(crate) port: u16,
    /// `%r`: the user there.
    pub(crate) user: String,
    /// `%u`: the user here.
    pub(crate) local_user: String,
    /// `%d`: the home folder here.
    pub(crate) home: String,
    /// `%i`: the id of the user here.
    pub(crate) uid: u32,
    /// `%l`: the name of this machine.
    pub(crate) local_host: String,
    /// `%j`: the jump hosts.
    pub(crate) jump: String,
    /// `%k`: the name that host keys are looked up by.
    pub(crate) key_alias: String,
}

impl Tokens {
    /// Puts in what `%x` stands for. One that is not known is left as it is, which fails where it is used and shows why.
    pub(crate) fn percent(&self, text: &str) -> String {
        let mut expanded = String::with_capacity(text.len());
        let mut characters = text.chars();
        while let Some(c) = characters.next() {
            if c != '%' {
                expanded.push(c);
                continue;
            }
            match characters.next() {
                Some('%') | None => expanded.push('%'),
                Some('h') => expanded.push_str(&self.host),
                Some('n') => expanded.push_str(&self.original_host),
                Some('p') => expanded.push_str(&self.port.to_string()),
                Some('r') => expanded.push_str(&self.user),
                Some('u') => expanded.push_str(&self.local_user),
                Some('d') => expanded.push_str(&self.home),
                Some('i') => expanded.push_str(&self.uid.to_string()),
                Some('l') => expanded.push_str(&self.local_host),
                Some('L') => {
                    let short = self.local_host.split('.').next();
                    expanded.push_str(short.unwrap_or_default());
                }
                Some('j') => expanded.push_str(&self.jump),
                Some('k') => expanded.push_str(&self.key_alias),
                Some(other) => {
                    expanded.push('%');
                    expanded.push(other);
                }
            }
        }
        expanded
    }

    /// A path: percent signs, `~` at its beginning, `${NAME}`.
    pub(crate) fn path(&self, text: &str, environment: impl Fn(&str) -> Option<String>) -> String {
        tilde(
            &variables(&self.percent(text), environment),
            Path::new(&self.home),
        )
    }
}

/// `~` and `~/...`; another user's home folder is not looked up.
pub(crate) fn tilde(text: &str, home: &Path) -> String {
    match text.strip_prefix('~') {
        Some("") => home.display().to_string(),
        Some(rest) if rest.starts_with('/') => format!("{}{rest}", home.display()),
        _ => text.to_owned(),
    }
}

/// `${NAME}`; one that is not set is left as it is.
pub(crate) fn variables(text: &str, environment: impl Fn(&str) -> Option<String>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        expanded.push_str(before);
        let Some(end) = from.find('}') else {
            rest = from;
            break;
        };
        match environment(&from[2..end]) {
            Some(value) => expanded.push_str(&value),
            None => expanded.push_str(&from[..=end]),
        }
        rest = &from[end + 1..];
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_put_in() {
        let tokens = Tokens {
            host: "db.example.com".into(),
            original_host: "db".into(),
            port: 2222,
            user: "app".into(),
            home: "/home/me".into(),
            local_host: "laptop.lan".into(),
            ..Tokens::default()
        };
        assert_eq!(
            tokens.percent("%r@%h:%p %n %% %L %x %"),
            "app@db.example.com:2222 db % laptop %x %"
        );
        let path = tokens.path("~/.ssh/${KIND}_%n", |name| {
            (name == "KIND").then(|| "id".to_owned())
        });
        assert_eq!(path, "/home/me/.ssh/id_db");
        assert_eq!(variables("${A}${", |_| None), "${A}${");
    }
}
