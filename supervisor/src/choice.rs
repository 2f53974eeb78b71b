//! What of a project runs, and which side of what it has twice: the app here, or the forward to one elsewhere.
//!
//! Pure: a project goes in, and the part of it that was chosen comes out.

use std::collections::HashSet;
use std::fmt;

use monday_shared::protocol::supervisor::Side;

use crate::config::Project;
use crate::config::project::{App, Forward};
use crate::config::suggest::nearest;

/// What was chosen on the command line or in the picker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// These, with what they depend on; none: all.
    pub names: Vec<String>,
    /// Without these.
    pub except: Vec<String>,
    /// The app of these names or host names, not the forward; so it is anyway.
    pub local: Vec<String>,
    /// The forward of these names or host names, not the app.
    pub forward: Vec<String>,
}

impl Choice {
    /// The same with this side of a name or host name, whichever names its two sides have.
    #[must_use]
    pub fn switched(&self, project: &Project, name: &str, side: Side) -> Self {
        let mut choice = self.clone();
        let of_pair = |given: &String| {
            let pairs = project.apps.iter().flat_map(|app| {
                let forwards = project.forwards.iter();
                forwards
                    .filter(|forward| is_pair(app, forward))
                    .map(move |forward| (app, forward))
            });
            pairs.into_iter().any(|(app, forward)| {
                let is = |name: &str| app_is(app, name) || forward_is(forward, name);
                is(name) && is(given)
            })
        };
        choice.local.retain(|given| !of_pair(given));
        choice.forward.retain(|given| !of_pair(given));
        match side {
            Side::Local => choice.local.push(name.to_owned()),
            Side::Forward => choice.forward.push(name.to_owned()),
        }
        choice
    }
}

/// Why a choice is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// There is nothing of that name.
    #[error("the project `{project}` has no app or forward `{name}`; {}it has: {}", meant(.near.as_deref()), .known.join(", "))]
    Unknown {
        /// The project.
        project: String,
        /// What was named.
        name: String,
        /// What was meant, perhaps.
        near: Option<String>,
        /// What there is.
        known: Vec<String>,
    },
    /// It has one side only.
    #[error("`{name}` is no {wanted}: there is only its {other}, so there is nothing to choose")]
    OneSide {
        /// What was named.
        name: String,
        /// The side that was asked for.
        wanted: &'static str,
        /// The side that there is.
        other: &'static str,
    },
    /// Both sides were asked for.
    #[error("`{0}` cannot be local and a forward at once")]
    BothSides(String),
    /// Nothing is left.
    #[error("nothing of `{0}` is left to run; take something out of --except")]
    Nothing(String),
}

fn meant(near: Option<&str>) -> String {
    near.map(|near| format!("did you mean `{near}`? "))
        .unwrap_or_default()
}

/// The part that was chosen, and what a person should know about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The part.
    pub project: Project,
    /// What was left out otherwise than by name: what of it, and why.
    pub notes: Vec<(String, String)>,
}

/// The chosen part of the project.
///
/// # Errors
/// [`ChoiceError`].
pub fn choose(project: &Project, choice: &Choice) -> Result<Chosen, ChoiceError> {
    let mut part = project.clone();
    let mut notes = Vec::new();
    part.apps.retain(|app| !app.disabled);
    check_names(project, choice)?;
    take_sides(&mut part, choice, &mut notes);
    if !choice.names.is_empty() {
        let wanted = with_dependencies(&part, &choice.names);
        part.apps.retain(|app| wanted.contains(&app.name));
        part.forwards
            .retain(|forward| wanted.contains(&forward.name));
    }
    part.apps.retain(|app| !choice.except.contains(&app.name));
    part.forwards
        .retain(|forward| !choice.except.contains(&forward.name));
    cut_dependencies(&mut part, choice, &mut notes);
    // A project in which there is nothing is as it was written; it is a mistake only where something was chosen away.
    let was_something = !(project.apps.is_empty() && project.forwards.is_empty());
    if was_something && part.apps.is_empty() && part.forwards.is_empty() {
        return Err(ChoiceError::Nothing(project.name.clone()));
    }
    Ok(Chosen {
        project: part,
        notes,
    })
}

/// One thing that can be ticked: an app, or a forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// It is an app; else a forward.
    pub is_app: bool,
    /// What it is, for people: `app`, `forward (kubernetes)`.
    pub about: String,
    /// It runs where nobody chooses.
    pub is_usual: bool,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  ({})", self.name, self.about)
    }
}

/// What there is to choose from.
#[must_use]
pub fn parts(project: &Project) -> Vec<Part> {
    let apps = project.apps.iter().filter(|app| !app.disabled);
    let of_app = |app: &App| Part {
        name: app.name.clone(),
        is_app: true,
        about: "app".to_owned(),
        is_usual: true,
    };
    let of_forward = |forward: &Forward| Part {
        name: forward.name.clone(),
        is_app: false,
        about: format!("forward, {}", forward.kind.name()),
        is_usual: !project
            .apps
            .iter()
            .any(|app| !app.disabled && is_pair(app, forward)),
    };
    let forwards = project.forwards.iter().map(of_forward);
    apps.map(of_app).chain(forwards).collect()
}

/// What was chosen by ticking these.
#[must_use]
pub fn of_parts(ticked: &[Part]) -> Choice {
    let forward = ticked
        .iter()
        .filter(|part| !part.is_app)
        // One whose app is ticked as well stays the app; one that has no other side needs no choice.
        .filter(|part| {
            let other = ticked.iter().any(|it| it.is_app && it.name == part.name);
            !part.is_usual && !other
        });
    Choice {
        names: ticked.iter().map(|part| part.name.clone()).collect(),
        forward: forward.map(|part| part.name.clone()).collect(),
        ..Choice::default()
    }
}

/// Whether the two are sides of one thing. A forward that leads here from elsewhere is none: it is how others reach the app.
fn is_pair(app: &App, forward: &Forward) -> bool {
    if !forward.kind.listens_here() {
        return false;
    }
    let same_host = app.hostname.is_some() && app.hostname == forward.hostname;
    app.name == forward.name || same_host
}

fn app_is(app: &App, name: &str) -> bool {
    app.name == name || app.hostname.as_deref() == Some(name)
}

fn forward_is(forward: &Forward, name: &str) -> bool {
    forward.name == name || forward.hostname.as_deref() == Some(name)
}

fn check_names(project: &Project, choice: &Choice) -> Result<(), ChoiceError> {
    let mut known: Vec<&str> = project.apps.iter().map(|app| app.name.as_str()).collect();
    let forwards = project.forwards.iter().map(|forward| forward.name.as_str());
    known.extend(forwards);
    let mut seen = HashSet::new();
    known.retain(|name| seen.insert(*name));
    let unknown = |name: &String| ChoiceError::Unknown {
        project: project.name.clone(),
        name: name.clone(),
        near: nearest(name, known.iter().copied()).map(str::to_owned),
        known: known.iter().map(|&name| name.to_owned()).collect(),
    };
    for name in choice.names.iter().chain(&choice.except) {
        if !known.contains(&name.as_str()) {
            return Err(unknown(name));
        }
    }
    for (names, wanted, other) in [
        (&choice.local, "app", "forward"),
        (&choice.forward, "forward", "app"),
    ] {
        for name in names {
            // One side may be meant by the name of the other.
            let (app, forward) = sides(project, name);
            match (app, forward) {
                (false, false) => return Err(unknown(name)),
                (true, false) if wanted == "forward" => {
                    return Err(ChoiceError::OneSide {
                        name: name.clone(),
                        wanted,
                        other,
                    });
                }
                (false, true) if wanted == "app" => {
                    return Err(ChoiceError::OneSide {
                        name: name.clone(),
                        wanted,
                        other,
                    });
                }
                _ => {}
            }
            if choice.local.contains(name) && choice.forward.contains(name) {
                return Err(ChoiceError::BothSides(name.clone()));
            }
        }
    }
    Ok(())
}

/// Whether the name has an app, and whether it has a forward; its own or the other side's name.
fn sides(project: &Project, name: &str) -> (bool, bool) {
    let (apps, forwards) = (&project.apps, &project.forwards);
    let is_app = apps.iter().any(|app| app_is(app, name));
    let is_forward = forwards.iter().any(|forward| forward_is(forward, name));
    let is_pair_of = apps.iter().any(|app| {
        let mut forwards = forwards.iter();
        forwards.any(|forward| {
            is_pair(app, forward) && (app_is(app, name) || forward_is(forward, name))
        })
    });
    (is_app || is_pair_of, is_forward || is_pair_of)
}

/// Of every pair one side stays: the app, unless the forward was chosen.
fn take_sides(part: &mut Project, choice: &Choice, notes: &mut Vec<(String, String)>) {
    let forward_chosen = |app: &App, forward: &Forward| {
        let mut names = choice.forward.iter();
        names.any(|name| app_is(app, name) || forward_is(forward, name))
    };
    let forwards = part.forwards.clone();
    let apps = part.apps.clone();
    part.apps.retain(|app| {
        let other = forwards
            .iter()
            .find(|forward| is_pair(app, forward) && forward_chosen(app, forward));
        if let Some(forward) = other {
            notes.push((
                app.name.clone(),
                format!("does not run here: `{}` is forwarded", forward.name),
            ));
        }
        other.is_none()
    });
    part.forwards.retain(|forward| {
        let other = apps
            .iter()
            .find(|app| is_pair(app, forward) && !forward_chosen(app, forward));
        if let Some(app) = other {
            notes.push((
                forward.name.clone(),
                format!(
                    "is not forwarded: `{}` runs here; `--forward {0}` chooses the other side",
                    app.name
                ),
            ));
        }
        other.is_none()
    });
}

/// The names with everything that they depend on, and that depends on in turn.
fn with_dependencies(part: &Project, names: &[String]) -> HashSet<String> {
    let mut wanted: HashSet<String> = HashSet::new();
    let mut to_do: Vec<String> = names.to_vec();
    while let Some(name) = to_do.pop() {
        let app = part.apps.iter().find(|app| app.name == name);
        if wanted.insert(name)
            && let Some(app) = app
        {
            to_do.extend(app.depends_on.iter().map(|needs| needs.name.clone()));
        }
    }
    wanted
}

/// Who is left does not wait for what was excluded.
fn cut_dependencies(part: &mut Project, choice: &Choice, notes: &mut Vec<(String, String)>) {
    for app in &mut part.apps {
        app.depends_on.retain(|needs| {
            let excluded = choice.except.contains(&needs.name);
            if excluded {
                notes.push((
                    app.name.clone(),
                    format!("does not wait for `{}`, which was left out", needs.name),
                ));
            }
            !excluded
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Search};

    const YAML: &str = "\
projects:
  - name: shop
    local:
      - {name: api, hostname: api.test, run: {command: a}, depends_on: [db]}
      - {name: db, run: {command: b}}
      - {name: web, run: {command: c}, depends_on: [api]}
      - {name: old, disabled: true, run: {command: d}}
    forward:
      - {name: api-remote, type: proxy, values: {hostname: api.test, proxy_hostname: h, ports: ['80:80']}}
      - {name: db, type: proxy, values: {hostname: db.test, proxy_hostname: h, ports: ['1:1']}}
      - {name: mail, type: proxy, values: {hostname: mail.test, proxy_hostname: h, ports: ['2:2']}}
";

    fn texts(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn chosen(choice: &Choice) -> Result<Vec<String>, ChoiceError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("monday.yaml");
        std::fs::write(&file, YAML).unwrap();
        let loaded = config::load(&Search::only([file])).unwrap();
        let part = choose(loaded.project("shop").unwrap(), choice)?.project;
        let apps = part.apps.iter().map(|app| app.name.clone());
        let forwards = part.forwards.iter();
        let forwards = forwards.map(|forward| format!("->{}", forward.name));
        Ok(apps.chain(forwards).collect())
    }

    #[test]
    fn what_has_both_sides_is_local_unless_the_forward_is_chosen() {
        let choice = Choice::default();
        assert_eq!(chosen(&choice).unwrap(), ["api", "db", "web", "->mail"]);
        for name in ["api", "api-remote", "api.test"] {
            let choice = Choice {
                forward: texts(&[name]),
                ..Choice::default()
            };
            let parts = chosen(&choice).unwrap();
            assert_eq!(parts, ["db", "web", "->api-remote", "->mail"]);
        }
    }

    #[test]
    fn a_forward_that_leads_here_is_no_other_side_of_the_app_that_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("monday.yaml");
        let yaml = "\
projects:
  - name: shop
    local: [{name: api, run: {command: a}}]
    forward: [{name: api, type: ssh-remote, values: {remote: h, ports: ['80:80']}}]
";
        std::fs::write(&file, yaml).unwrap();
        let loaded = config::load(&Search::only([file])).unwrap();
        let project = loaded.project("shop").unwrap();
        let chosen = choose(project, &Choice::default()).unwrap();
        assert_eq!(&chosen.project, project);
        assert_eq!(chosen.notes, []);
    }

    #[test]
    fn a_subset_brings_what_it_depends_on() {
        let choice = Choice {
            names: texts(&["web"]),
            ..Choice::default()
        };
        assert_eq!(chosen(&choice).unwrap(), ["api", "db", "web"]);
        let choice = Choice {
            names: texts(&["web"]),
            forward: texts(&["db"]),
            ..Choice::default()
        };
        assert_eq!(chosen(&choice).unwrap(), ["api", "web", "->db"]);
        let choice = Choice {
            names: texts(&["mail"]),
            ..Choice::default()
        };
        assert_eq!(chosen(&choice).unwrap(), ["->mail"]);
    }

    #[test]
    fn what_is_left_out_is_not_waited_for() {
        let choice = Choice {
            except: texts(&["db", "mail"]),
            ..Choice::default()
        };
        assert_eq!(chosen(&choice).unwrap(), ["api", "web"]);
    }

    #[test]
    fn what_is_ticked_is_what_is_chosen() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("monday.yaml");
        std::fs::write(&file, YAML).unwrap();
        let loaded = config::load(&Search::only([file])).unwrap();
        let all = parts(loaded.project("shop").unwrap());
        let usual: Vec<String> = all
            .iter()
            .filter(|part| part.is_usual)
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            usual,
            [
                "api  (app)",
                "db  (app)",
                "web  (app)",
                "mail  (forward, proxy)"
            ]
        );
        let ticked = |names: &[&str]| -> Vec<Part> {
            let is_ticked = |part: &&Part| names.contains(&part.to_string().as_str());
            all.iter().filter(is_ticked).cloned().collect()
        };
        let choice = of_parts(&ticked(&["web  (app)", "db  (forward, proxy)"]));
        assert_eq!(chosen(&choice).unwrap(), ["api", "web", "->db"]);
        let choice = of_parts(&ticked(&["db  (app)", "db  (forward, proxy)"]));
        assert_eq!(chosen(&choice).unwrap(), ["db"]);
    }

    #[test]
    fn mistakes_are_explained() {
        let refused = |choice: Choice| chosen(&choice).unwrap_err().to_string();
        let wrong = refused(Choice {
            names: texts(&["wbe"]),
            ..Choice::default()
        });
        assert!(wrong.contains("did you mean `web`?"), "{wrong}");
        let wrong = refused(Choice {
            forward: texts(&["web"]),
            ..Choice::default()
        });
        assert!(wrong.contains("no forward"), "{wrong}");
        let wrong = refused(Choice {
            local: texts(&["db"]),
            forward: texts(&["db"]),
            ..Choice::default()
        });
        assert!(wrong.contains("at once"), "{wrong}");
        let wrong = refused(Choice {
            names: texts(&["mail"]),
            except: texts(&["mail"]),
            ..Choice::default()
        });
        assert!(wrong.contains("nothing"), "{wrong}");
    }
}
