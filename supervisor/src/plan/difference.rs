//! What has to be done when a plan is replaced by another: only what differs. Pure.

use std::collections::{HashMap, HashSet};

use super::Plan;

/// What differs between two plans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// The apps.
    pub apps: Changes,
    /// The forwards.
    pub forwards: Changes,
    /// Host names that nobody uses any more.
    pub unused_hostnames: Vec<String>,
}

/// What differs among things of one kind, by name, in the order of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Only in the new plan.
    pub added: Vec<String>,
    /// In both, and not the same.
    pub changed: Vec<String>,
    /// Only in the old plan.
    pub removed: Vec<String>,
}

impl Changes {
    fn between<T: PartialEq>(old: &[(&str, T)], new: &[(&str, T)]) -> Self {
        let before: HashMap<&str, &T> = old.iter().map(|(name, thing)| (*name, thing)).collect();
        let after: HashSet<&str> = new.iter().map(|(name, _)| *name).collect();
        let mut changes = Self::default();
        for (name, thing) in new {
            match before.get(name) {
                None => changes.added.push((*name).to_owned()),
                Some(known) if *known != thing => changes.changed.push((*name).to_owned()),
                Some(_) => {}
            }
        }
        let gone = old.iter().filter(|(name, _)| !after.contains(name));
        changes.removed = gone.map(|(name, _)| (*name).to_owned()).collect();
        changes
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }

    /// What has to end.
    pub fn going(&self) -> impl Iterator<Item = &String> {
        self.changed.iter().chain(&self.removed)
    }

    /// What has to begin.
    pub fn coming(&self) -> impl Iterator<Item = &String> {
        self.changed.iter().chain(&self.added)
    }
}

impl Difference {
    /// What has to be done to get from one plan to the other.
    #[must_use]
    pub fn between(old: &Plan, new: &Plan) -> Self {
        let apps = |plan: &'_ Plan| -> Vec<_> {
            let apps = plan.apps.iter();
            apps.map(|app| (app.name.clone(), app.clone())).collect()
        };
        let (old_apps, new_apps) = (apps(old), apps(new));
        let forwards = |plan: &'_ Plan| -> Vec<_> {
            let of = |name: &str| plan.routes_of(name).cloned().collect::<Vec<_>>();
            let forwards = plan.forwards.iter();
            forwards
                .map(|forward| {
                    let routes = of(&forward.name);
                    (forward.name.clone(), (forward.clone(), routes))
                })
                .collect()
        };
        let (old_forwards, new_forwards) = (forwards(old), forwards(new));
        let still_used: HashSet<&str> = new.hostnames.iter().map(|it| it.name.as_str()).collect();
        Self {
            apps: Changes::between(&borrowed(&old_apps), &borrowed(&new_apps)),
            forwards: Changes::between(&borrowed(&old_forwards), &borrowed(&new_forwards)),
            unused_hostnames: old
                .hostnames
                .iter()
                .filter(|hostname| !still_used.contains(hostname.name.as_str()))
                .map(|hostname| hostname.name.clone())
                .collect(),
        }
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.apps.is_empty() && self.forwards.is_empty()
    }

    /// For people: `api changed, web is new, db is gone`.
    #[must_use]
    pub fn in_words(&self) -> String {
        let kinds = [&self.apps, &self.forwards];
        let said = |what: fn(&Changes) -> &Vec<String>, word: &'static str| {
            kinds
                .into_iter()
                .flat_map(what)
                .map(move |name| format!("{name} {word}"))
        };
        let words: Vec<String> = said(|changes| &changes.changed, "changed")
            .chain(said(|changes| &changes.added, "is new"))
            .chain(said(|changes| &changes.removed, "is gone"))
            .collect();
        words.join(", ")
    }
}

fn borrowed<T>(owned: &[(String, T)]) -> Vec<(&str, &T)> {
    owned
        .iter()
        .map(|(name, thing)| (name.as_str(), thing))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Search};
    use crate::plan;

    fn plan_of(yaml: &str) -> Plan {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("monday.yaml");
        std::fs::write(&file, yaml).unwrap();
        let loaded = config::load(&Search::only([file])).unwrap();
        plan::plan(loaded.project("shop").unwrap())
    }

    const OLD: &str = "\
projects:
  - name: shop
    local:
      - {name: same, run: {command: a}}
      - {name: api, hostname: api.test, run: {command: a}}
      - {name: old, hostname: old.test, run: {command: a}}
    forward:
      - {name: db, type: proxy, values: {hostname: db.test, proxy_hostname: h, ports: ['1:1']}}
      - {name: mail, type: proxy, values: {hostname: mail.test, proxy_hostname: h, ports: ['2:2']}}
";

    #[test]
    fn the_same_plan_differs_in_nothing() {
        let difference = Difference::between(&plan_of(OLD), &plan_of(OLD));
        assert_eq!(difference, Difference::default());
        assert!(difference.is_empty());
    }

    #[test]
    fn only_what_changed_is_touched() {
        let new = OLD
            .replace(
                "name: api, hostname: api.test, run: {command: a}",
                "name: api, hostname: api.test, run: {command: b}",
            )
            .replace(
                "name: old, hostname: old.test",
                "name: new, hostname: new.test",
            )
            .replace("'2:2'", "'2:3'");
        let difference = Difference::between(&plan_of(OLD), &plan_of(&new));
        let words = difference.in_words();
        assert_eq!(words, "api changed, mail changed, new is new, old is gone");
        assert_eq!(difference.unused_hostnames, ["old.test"]);
        let going: Vec<&String> = difference.apps.going().collect();
        assert_eq!(going, ["api", "old"]);
        let coming: Vec<&String> = difference.forwards.coming().collect();
        assert_eq!(coming, ["mail"]);
    }
}
