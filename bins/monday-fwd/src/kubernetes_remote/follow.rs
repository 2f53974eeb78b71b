//! Follows what the API server says of a session's objects: lists that are always what it last said.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Api, Resource};
use monday_shared::backoff::{Backoff, Policy};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::objects::{Kind, Name, Objects};
use super::progress::{self, Facts};

/// How to go on when the API server does not answer.
const AGAIN: Policy = Policy {
    first: Duration::from_millis(100),
    longest: Duration::from_secs(2),
    healthy_after: Duration::from_secs(10),
};

/// An object that is followed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Seen {
    /// The API server has said nothing yet.
    #[default]
    Nothing,
    /// It is this.
    There(Box<Value>),
    /// There is none.
    Gone,
}

/// Follows one object, for ever.
pub(crate) async fn object(objects: Objects, name: Name, seen: watch::Sender<Seen>) {
    let (group, kind) = match name.kind {
        Kind::Deployment => ("apps", "Deployment"),
        Kind::Service => ("", "Service"),
    };
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
    let config = Config::default().fields(&format!("metadata.name={}", name.name));
    follow(
        &objects,
        |client, namespace| Api::<DynamicObject>::namespaced_with(client, namespace, &resource),
        config,
        |list| {
            let there = list.values().next().map(serde_json::to_value);
            seen.send_replace(match there {
                Some(Ok(object)) => Seen::There(Box::new(object)),
                _ => Seen::Gone,
            });
        },
    )
    .await;
}

/// Follows the pods with a label, for ever.
pub(crate) async fn pods(
    objects: Objects,
    label: String,
    container: String,
    pods: watch::Sender<Option<Vec<Facts>>>,
) {
    follow(
        &objects,
        Api::<Pod>::namespaced,
        Config::default().labels(&label),
        |list| {
            let facts = list
                .values()
                .filter_map(|pod| progress::facts(pod, &container));
            pods.send_replace(Some(facts.collect()));
        },
    )
    .await;
}

async fn follow<K>(
    objects: &Objects,
    api: impl Fn(kube::Client, &str) -> Api<K>,
    config: Config,
    tell: impl Fn(&BTreeMap<String, K>),
) where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let mut backoff = Backoff::new(AGAIN);
    loop {
        let began = Instant::now();
        let why = match objects.cluster.access().await {
            Ok(access) => {
                let mut events = Box::pin(watcher(
                    api(access.client.clone(), &objects.namespace),
                    config.clone(),
                ));
                let (mut list, mut fresh) = (BTreeMap::new(), BTreeMap::new());
                let uid = |object: &K| object.meta().uid.clone().unwrap_or_default();
                loop {
                    match events.next().await {
                        Some(Ok(Event::Init)) => fresh.clear(),
                        Some(Ok(Event::InitApply(object))) => {
                            drop(fresh.insert(uid(&object), object));
                        }
                        Some(Ok(Event::InitDone)) => {
                            list = std::mem::take(&mut fresh);
                            tell(&list);
                        }
                        Some(Ok(Event::Apply(object))) => {
                            list.insert(uid(&object), object);
                            tell(&list);
                        }
                        Some(Ok(Event::Delete(object))) => {
                            list.remove(&uid(&object));
                            tell(&list);
                        }
                        Some(Err(error)) => {
                            // Perhaps the credentials: they are read again, at most every two seconds.
                            let _ = objects.cluster.renewed(&access).await;
                            break error.to_string();
                        }
                        None => break "the watch ended".to_owned(),
                    }
                }
            }
            Err(error) => error.to_string(),
        };
        tracing::debug!(why, "what the cluster says is not known for now");
        sleep(backoff.failed_after(began.elapsed())).await;
    }
}
