//! Gives the project's host names their addresses, through monday-ipalias.

use monday_shared::protocol::error::ErrorKind;
use monday_shared::protocol::ipalias::{Assign, Event, HostsStatus, NameSpec, NameStatus, Names};
use monday_shared::protocol::supervisor::Level;
use monday_shared::rpc::client::ClientError;
use tokio::sync::mpsc;

use super::addresses::Addresses;
use crate::escalate::decide::Names as Place;
use crate::plan::{Hostname, Plan};
use crate::sidecar::keeper::{News, Sidecar};
use crate::state::State;

/// The kept monday-ipalias.
pub type Ipalias = Sidecar<Assign>;

/// Assigns every host name of the plan, and returns where they lead to their addresses. A name that cannot be had is told,
/// and what needs it fails; the others go on.
pub async fn assign(
    ipalias: &Ipalias,
    plan: &Plan,
    place: Place,
    state: &State,
    addresses: &mut Addresses,
) -> Place {
    let specs: Vec<NameSpec> = plan.hostnames.iter().map(spec).collect();
    let assigned = match ipalias
        .call(&Assign {
            names: specs.clone(),
        })
        .await
    {
        Ok(names) => Some(names),
        // One name may be the whole trouble: the others are asked for one by one.
        Err(error) if specs.len() > 1 => {
            tracing::debug!(%error, "the names could not be assigned together");
            assign_each(ipalias, plan, specs, state, addresses).await
        }
        Err(error) => {
            refused(state, &plan.hostnames[0], &error, addresses);
            None
        }
    };
    let Some(Names { names, hosts }) = assigned else {
        return Place::Nowhere;
    };
    for name in &names {
        addresses.name(&name.name, name.ip);
        if let Some(note) = &name.note {
            state.notice(Level::Warning, Some(name.name.clone()), note.clone());
        }
    }
    // A restarted monday-ipalias gives the same addresses, whatever listens there meanwhile.
    ipalias.wish(Some(Assign {
        names: names.iter().map(|name| pinned(plan, name)).collect(),
    }));
    let work = lead_there(&names, &hosts);
    tell_whether(work, place, state);
    // Where they go nowhere, that was said before.
    if place != Place::Nowhere
        && let HostsStatus::Unwritable { file, reason } = hosts
    {
        state.notice(
            Level::Warning,
            None,
            format!("host names work by address only, because {file} cannot be written: {reason}"),
        );
    }
    if work { place } else { Place::Nowhere }
}

/// Whether names lead to their addresses.
fn lead_there(names: &[NameStatus], hosts: &HostsStatus) -> bool {
    matches!(hosts, HostsStatus::Written { .. }) || names.iter().all(|name| name.resolves)
}

fn tell_whether(work: bool, place: Place, state: &State) {
    match place {
        Place::Private => state.private_names(work),
        Place::System | Place::Nowhere => state.names(work),
    }
}

async fn assign_each(
    ipalias: &Ipalias,
    plan: &Plan,
    specs: Vec<NameSpec>,
    state: &State,
    addresses: &mut Addresses,
) -> Option<Names> {
    let mut all: Option<Names> = None;
    for (hostname, spec) in plan.hostnames.iter().zip(specs) {
        match ipalias.call(&Assign { names: vec![spec] }).await {
            Ok(assigned) => match &mut all {
                Some(all) => {
                    all.names.extend(assigned.names);
                    all.hosts = assigned.hosts;
                }
                None => all = Some(assigned),
            },
            Err(error) => refused(state, hostname, &error, addresses),
        }
    }
    all
}

fn refused(state: &State, hostname: &Hostname, error: &ClientError, addresses: &mut Addresses) {
    let what = match error {
        ClientError::Refused(error) if error.data.kind == ErrorKind::Conflict => {
            error.message.clone()
        }
        error => format!("`{}` gets no address: {error}", hostname.name),
    };
    for user in &hostname.used_by {
        state.notice(Level::Error, Some(user.clone()), what.clone());
    }
    addresses.refuse(&hostname.name, &what);
}

fn spec(hostname: &Hostname) -> NameSpec {
    NameSpec {
        name: hostname.name.clone(),
        ports: hostname.ports.clone(),
        ip: None,
    }
}

fn pinned(plan: &Plan, name: &NameStatus) -> NameSpec {
    let ports = plan
        .hostnames
        .iter()
        .find(|hostname| hostname.name == name.name)
        .map(|hostname| hostname.ports.clone());
    NameSpec {
        name: name.name.clone(),
        ports: ports.unwrap_or_default(),
        ip: Some(name.ip),
    }
}

/// Shows what monday-ipalias tells, as long as it is kept. `place` is where names are meant to go.
pub async fn watch(mut news: mpsc::Receiver<News<Event>>, state: State, place: impl Fn() -> Place) {
    while let Some(news) = news.recv().await {
        match news {
            // Written later than asked for, or not any more.
            News::Event(Event::Assigned(Names { names, hosts })) => {
                tell_whether(lead_there(&names, &hosts), place(), &state);
            }
            News::Event(event @ Event::Rewritten { .. }) => {
                state.notice(Level::Info, None, event.to_string());
            }
            News::Refused(name, why) => {
                state.notice(
                    Level::Error,
                    Some(name),
                    format!("it has no address: {why}"),
                );
            }
            News::Granted(name) => {
                state.notice(
                    Level::Info,
                    Some(name),
                    "it has its address again".to_owned(),
                );
            }
            _ => {}
        }
    }
}
