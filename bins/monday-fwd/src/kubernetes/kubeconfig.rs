//! Where the configuration of the cluster comes from.
//!
//! In this order, as users of kubectl expect it: the key `kubeconfig`, `MONDAY_KUBE_CONFIG`, `KUBECONFIG` (several files,
//! those that are not there left out), `~/.kube/config`, and the service account of a pod.

use std::env;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    /// The file, before anything that the environment says.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context, if not the current one.
    pub(crate) context: Option<String>,
}

/// A configuration and where it was found.
pub(crate) struct Found {
    pub(crate) config: Config,
    /// The context's name; `None`: in a cluster.
    pub(crate) context: Option<String>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// Nowhere is one.
    #[error(
        "there is no configuration of a cluster: tried {tried}; set `kubeconfig`, MONDAY_KUBE_CONFIG or KUBECONFIG to the file that kubectl uses"
    )]
    Nowhere {
        /// Where it was looked for.
        tried: String,
    },
    /// The context that was asked for is not in it.
    #[error("there is no context `{context}` in {file}; it has: {known}")]
    NoContext {
        /// The context.
        context: String,
        /// Where.
        file: String,
        /// Those that are there.
        known: String,
    },
    /// No context was asked for and none is current.
    #[error(
        "{file} names no current context; say which (`--context`, or `kubectl config use-context`): {known}"
    )]
    NoCurrent {
        /// Where.
        file: String,
        /// Those that are there.
        known: String,
    },
    /// It cannot be read.
    #[error("cannot read the kubeconfig {file}: {source}; name the file that kubectl uses")]
    Unreadable {
        /// Where.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// It makes no sense.
    #[error("{file}: {}", causes(.source))]
    Unusable {
        /// Where.
        file: String,
        /// Why.
        source: Box<KubeconfigError>,
    },
    /// A pod's service account cannot be used.
    #[error("the pod's service account cannot be used: {0}")]
    InCluster(#[from] kube::config::InClusterError),
}

/// An error and what caused it, in a line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some errors print their cause themselves.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// A place where a configuration may be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    /// What named it.
    name: String,
    /// The files; with more than one, those that are missing are left out.
    files: Vec<PathBuf>,
    /// It was asked for: that it is missing is an error.
    asked: bool,
}

/// The one place that counts.
fn place(wish: &Wish, variable: impl Fn(&str) -> Option<OsString>) -> Option<Place> {
    if let Some(file) = &wish.kubeconfig {
        return Some(Place {
            name: file.display().to_string(),
            files: vec![file.clone()],
            asked: true,
        });
    }
    for name in ["MONDAY_KUBE_CONFIG", "KUBECONFIG"] {
        let files: Vec<PathBuf> = variable(name)
            .iter()
            .flat_map(env::split_paths)
            .filter(|file| !file.as_os_str().is_empty())
            .collect();
        if !files.is_empty() {
            let list: Vec<_> = files
                .iter()
                .map(|file| file.display().to_string())
                .collect();
            return Some(Place {
                name: format!("{} ({name})", list.join(", ")),
                files,
                asked: true,
            });
        }
    }
    let home = variable("HOME").filter(|home| !home.is_empty())?;
    let file = PathBuf::from(home).join(".kube/config");
    Some(Place {
        name: file.display().to_string(),
        files: vec![file],
        asked: false,
    })
}

/// The file that is read for this, if it is one: to find it again from another environment.
pub(crate) fn single(wish: &Wish) -> Option<PathBuf> {
    let files = place(wish, |name| env::var_os(name))?.files;
    let [file] = files.as_slice() else {
        return None;
    };
    std::path::absolute(file).ok().filter(|file| file.is_file())
}

/// Finds and reads the configuration.
///
/// # Errors
/// [`ConfigError`]
pub(crate) async fn load(wish: &Wish) -> Result<Found, ConfigError> {
    let place = place(wish, |name| env::var_os(name));
    if let Some(place) = &place
        && let Some(read) = read(place)?
    {
        return choose(read, &place.name, wish).await;
    }
    let in_cluster = env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    if in_cluster && wish.context.is_none() {
        return Ok(Found {
            config: Config::incluster()?,
            context: None,
        });
    }
    let tried = place.map_or("~/.kube/config (HOME is not set)".to_owned(), |place| {
        place.name
    });
    Err(ConfigError::Nowhere {
        tried: format!("{tried} and the service account of a pod"),
    })
}

/// `None`: there is nothing in it, and nobody asked for it.
fn read(place: &Place) -> Result<Option<Kubeconfig>, ConfigError> {
    let mut merged: Option<Kubeconfig> = None;
    for file in &place.files {
        let next = match Kubeconfig::read_from(file) {
            Ok(next) => next,
            Err(KubeconfigError::ReadConfig(error, _))
                if error.kind() == ErrorKind::NotFound
                    && (!place.asked || place.files.len() > 1) =>
            {
                continue;
            }
            Err(source) => return Err(unusable(&place.name, source)),
        };
        merged = Some(match merged {
            None => next,
            Some(merged) => merged
                .merge(next)
                .map_err(|source| unusable(&place.name, source))?,
        });
    }
    Ok(merged.filter(|merged| place.asked || !merged.contexts.is_empty()))
}

async fn choose(read: Kubeconfig, file: &str, wish: &Wish) -> Result<Found, ConfigError> {
    let names: Vec<_> = read
        .contexts
        .iter()
        .map(|named| named.name.clone())
        .collect();
    let known = || {
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    };
    let current = read.current_context.clone().filter(|name| !name.is_empty());
    let context = match wish.context.clone().or(current) {
        None => {
            return Err(ConfigError::NoCurrent {
                file: file.to_owned(),
                known: known(),
            });
        }
        Some(context) if !names.contains(&context) => {
            return Err(ConfigError::NoContext {
                context,
                file: file.to_owned(),
                known: known(),
            });
        }
        Some(context) => context,
    };
    let options = KubeConfigOptions {
        context: Some(context.clone()),
        ..KubeConfigOptions::default()
    };
    let config = Config::from_custom_kubeconfig(read, &options)
        .await
        .map_err(|source| unusable(file, source))?;
    Ok(Found {
        config,
        context: Some(context),
    })
}

fn unusable(file: &str, source: KubeconfigError) -> ConfigError {
    let file = file.to_owned();
    match source {
        KubeconfigError::ReadConfig(source, _) => ConfigError::Unreadable { file, source },
        source => ConfigError::Unusable {
            file,
            source: Box::new(source),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place_of(wish: &Wish, variables: &[(&str, &str)]) -> Option<Place> {
        place(wish, |name| {
            variables
                .iter()
                .find(|(variable, _)| *variable == name)
                .map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn the_first_place_that_is_named_counts() {
        let all = [
            ("MONDAY_KUBE_CONFIG", "/m"),
            ("KUBECONFIG", "/a::/b"),
            ("HOME", "/h"),
        ];
        let asked = Wish {
            kubeconfig: Some("/k".into()),
            context: None,
        };
        let files = |wish: &Wish, from: usize| {
            place_of(wish, &all[from..]).map(|place| (place.files, place.asked))
        };
        let of = |files: &[&str]| files.iter().map(PathBuf::from).collect::<Vec<_>>();
        let nothing = Wish::default();
        assert_eq!(files(&asked, 0), Some((of(&["/k"]), true)));
        assert_eq!(files(&nothing, 0), Some((of(&["/m"]), true)));
        assert_eq!(files(&nothing, 1), Some((of(&["/a", "/b"]), true)));
        assert_eq!(files(&nothing, 2), Some((of(&["/h/.kube/config"]), false)));
        assert_eq!(files(&nothing, 3), None);
    }

    const FILE: &str = "
apiVersion: v1
kind: Config
current-context: one
clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]
users: [{name: u, user: {token: t}}]
contexts:
- {name: one, context: {cluster: c, user: u}}
- {name: two, context: {cluster: c, user: u, namespace: shop}}
";

    async fn load_file(text: &str, context: Option<&str>) -> Result<Found, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        std::fs::write(&file, text).unwrap();
        load(&Wish {
            kubeconfig: Some(file),
            context: context.map(str::to_owned),
        })
        .await
    }

    #[tokio::test]
    async fn a_context_brings_its_namespace() {
        let found = load_file(FILE, None).await.unwrap();
        assert_eq!(found.context.as_deref(), Some("one"));
        assert_eq!(found.config.default_namespace, "default");
        let found = load_file(FILE, Some("two")).await.unwrap();
        assert_eq!(found.config.default_namespace, "shop");
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let message = |result: Result<Found, ConfigError>| result.err().unwrap().to_string();
        let unknown = message(load_file(FILE, Some("three")).await);
        assert!(
            unknown.contains("`three`") && unknown.ends_with("one, two"),
            "{unknown}"
        );
        let no_current = FILE.replace("current-context: one", "");
        let unknown = message(load_file(&no_current, None).await);
        assert!(unknown.contains("no current context"), "{unknown}");
        let absent = Wish {
            kubeconfig: Some("/nowhere/config".into()),
            context: None,
        };
        assert!(message(load(&absent).await).contains("/nowhere/config"));
        assert!(message(load_file("[", None).await).contains("config"));
    }
}
