//! What has to be done to open a batch of routes: decided before anything is touched, without any input or output.

use crate::place::Place;

/// A listener of an open route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Where it was asked to listen, perhaps with port 0.
    pub(crate) asked: Place,
    /// Where it listens.
    pub(crate) address: Place,
}

/// A route that is open.
#[derive(Debug)]
pub(crate) struct Open<'a, S> {
    pub(crate) id: &'a str,
    /// The wish that it was opened with.
    pub(crate) spec: &'a S,
    pub(crate) held: &'a [Held],
}

/// A route that shall be open.
#[derive(Debug)]
pub(crate) struct Wanted<'a, S> {
    pub(crate) id: &'a str,
    pub(crate) spec: &'a S,
    pub(crate) listen: &'a [Place],
}

/// What happens to the open routes that are not in the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// They stay.
    Stay,
    /// They are closed.
    Close,
}

/// How a route gets what it wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It has it already.
    Keep,
    /// With these listeners, one for each address that it wants.
    Put(Vec<Source>),
}

/// Where a listener comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The one that is open on this address: the route's own, or one that another route leaves in the same batch.
    Reuse(Place),
    /// A new one on this address.
    Bind(Place),
}

/// Why a batch cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Two routes have one id.
    #[error("route `{id}` is there twice: every route needs an id of its own")]
    Id {
        /// The id.
        id: String,
    },
    /// Two routes want one address.
    #[error(
        "route `{id}` cannot listen on {address}: route `{other}` does; give one of them another address, or port 0"
    )]
    Address {
        /// The route that cannot be opened.
        id: String,
        /// The address that it wants.
        address: Place,
        /// The route that has it.
        other: String,
    },
}

/// One step for each wanted route, in the same order.
///
/// A route keeps a listener while it is asked to listen where it was asked before, so that port 0 stays the port that
/// it became; and while it is asked for the very address that it has.
///
/// # Errors
/// [`Conflict`]: the batch contradicts itself or a route that is not in it.
pub(crate) fn plan<S: PartialEq>(
    open: &[Open<'_, S>],
    wanted: &[Wanted<'_, S>],
    others: Others,
) -> Result<Vec<Step>, Conflict> {
    for (place, want) in wanted.iter().enumerate() {
        if wanted[..place].iter().any(|earlier| earlier.id == want.id) {
            return Err(Conflict::Id {
                id: want.id.to_owned(),
            });
        }
    }
    let own = |want: &Wanted<'_, S>| open.iter().find(|open| open.id == want.id);
    let kept: Vec<Vec<Option<Place>>> = wanted
        .iter()
        .map(|want| match own(want) {
            Some(own) => keep(own.held, want.listen),
            None => vec![None; want.listen.len()],
        })
        .collect();
    // Who has an address once the batch is done, of those who have it now.
    let holder = |address: &Place| {
        open.iter().find(|open| {
            let place = wanted.iter().position(|want| want.id == open.id);
            match place {
                Some(place) => kept[place].iter().flatten().any(|stays| stays == address),
                None => {
                    others == Others::Stay && open.held.iter().any(|held| held.address == *address)
                }
            }
        })
    };
    let is_open = |address: &Place| {
        let mut all = open.iter().flat_map(|open| open.held);
        all.any(|held| held.address == *address)
    };
    let mut taken: Vec<(&str, &Place)> = Vec::new();
    let mut steps = Vec::with_capacity(wanted.len());
    for (want, kept) in wanted.iter().zip(&kept) {
        let mut sources = Vec::with_capacity(want.listen.len());
        for (address, kept) in want.listen.iter().zip(kept) {
            if let Some(kept) = kept {
                sources.push(Source::Reuse(kept.clone()));
                continue;
            }
            let earlier = taken.iter().find(|(_, taken)| *taken == address);
            let rival = earlier
                .map(|(id, _)| *id)
                .or_else(|| holder(address).map(|open| open.id));
            if let Some(other) = rival {
                return Err(Conflict::Address {
                    id: want.id.to_owned(),
                    address: address.clone(),
                    other: other.to_owned(),
                });
            }
            if address.is_particular() {
                taken.push((want.id, address));
            }
            sources.push(if is_open(address) {
                Source::Reuse(address.clone())
            } else {
                Source::Bind(address.clone())
            });
        }
        let unchanged = own(want).is_some_and(|own| {
            own.spec == want.spec
                && own.held.len() == want.listen.len()
                && kept.iter().all(Option::is_some)
        });
        steps.push(if unchanged {
            Step::Keep
        } else {
            Step::Put(sources)
        });
    }
    Ok(steps)
}

/// Which of its listeners a route keeps for each of the addresses that it is asked for now.
fn keep(held: &[Held], wanted: &[Place]) -> Vec<Option<Place>> {
    let mut left: Vec<&Held> = held.iter().collect();
    wanted
        .iter()
        .map(|want| {
            let place = left
                .iter()
                .position(|held| held.asked == *want || held.address == *want)?;
            Some(left.remove(place).address.clone())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> Place {
        Place::Ip(([127, 0, 0, 1], port).into())
    }

    fn held(asked: u16, port: u16) -> Held {
        Held {
            asked: at(asked),
            address: at(port),
        }
    }

    type Has = (&'static str, &'static str, Vec<Held>);
    type Wants = (&'static str, &'static str, Vec<Place>);

    fn decide(has: &[Has], wants: &[Wants], others: Others) -> Result<Vec<Step>, Conflict> {
        let open: Vec<_> = has
            .iter()
            .map(|(id, spec, held)| Open { id, spec, held })
            .collect();
        let wanted: Vec<_> = wants
            .iter()
            .map(|(id, spec, listen)| Wanted { id, spec, listen })
            .collect();
        plan(&open, &wanted, others)
    }

    fn planned(has: &[Has], wants: &[Wants]) -> Result<Vec<Step>, Conflict> {
        decide(has, wants, Others::Stay)
    }

    fn reuse(port: u16) -> Step {
        Step::Put(vec![Source::Reuse(at(port))])
    }

    fn bind(port: u16) -> Step {
        Step::Put(vec![Source::Bind(at(port))])
    }

    #[test]
    fn the_same_wish_again_changes_nothing() {
        let steps = planned(
            &[("a", "x", vec![held(0, 4711)])],
            &[("a", "x", vec![at(0)])],
        );
        assert_eq!(steps, Ok(vec![Step::Keep]));
    }

    #[test]
    fn another_target_keeps_the_listener_even_on_port_0() {
        let has = [("a", "x", vec![held(0, 4711)])];
        let own = Ok(vec![reuse(4711)]);
        assert_eq!(planned(&has, &[("a", "y", vec![at(0)])]), own);
        assert_eq!(planned(&has, &[("a", "y", vec![at(4711)])]), own);
    }

    #[test]
    fn another_address_is_bound_anew() {
        let steps = planned(
            &[("a", "x", vec![held(0, 4711)])],
            &[("a", "y", vec![at(80)])],
        );
        assert_eq!(steps, Ok(vec![bind(80)]));
    }

    #[test]
    fn one_address_more_keeps_those_that_there_are() {
        let has = [("a", "x", vec![held(0, 4711)])];
        let steps = planned(&has, &[("a", "y", vec![at(80), at(0), at(0)])]);
        let sources = vec![
            Source::Bind(at(80)),
            Source::Reuse(at(4711)),
            Source::Bind(at(0)),
        ];
        assert_eq!(steps, Ok(vec![Step::Put(sources)]));
    }

    #[test]
    fn two_routes_can_swap_their_addresses() {
        let has = [
            ("a", "x", vec![held(81, 81)]),
            ("b", "x", vec![held(82, 82)]),
        ];
        let steps = planned(&has, &[("a", "y", vec![at(82)]), ("b", "y", vec![at(81)])]);
        assert_eq!(steps, Ok(vec![reuse(82), reuse(81)]));
    }

    #[test]
    fn what_another_route_has_cannot_be_had() {
        let taken = |other: &str| {
            Err(Conflict::Address {
                id: "b".into(),
                address: at(81),
                other: other.into(),
            })
        };
        let has = [("a", "x", vec![held(81, 81)])];
        let b = ("b", "x", vec![at(81)]);
        assert_eq!(planned(&has, std::slice::from_ref(&b)), taken("a"));
        let both = [b.clone(), ("a", "y", vec![at(81)])];
        assert_eq!(planned(&has, &both), taken("a"));
        assert_eq!(planned(&[], &[("c", "x", vec![at(81)]), b]), taken("c"));
        let twice = [("b", "x", vec![at(81), at(81)])];
        assert_eq!(planned(&[], &twice), taken("b"));
    }

    #[test]
    fn what_a_route_leaves_that_is_closed_can_be_had() {
        let has = [("a", "x", vec![held(0, 81)])];
        let steps = decide(&has, &[("b", "x", vec![at(81)])], Others::Close);
        assert_eq!(steps, Ok(vec![reuse(81)]));
    }

    #[test]
    fn any_number_of_routes_may_ask_for_a_free_port() {
        let steps = planned(&[], &[("a", "x", vec![at(0)]), ("b", "x", vec![at(0)])]);
        assert_eq!(steps, Ok(vec![bind(0), bind(0)]));
    }

    #[test]
    fn an_id_is_there_once() {
        let twice = planned(&[], &[("a", "x", vec![at(0)]), ("a", "x", vec![at(0)])]);
        assert_eq!(twice, Err(Conflict::Id { id: "a".into() }));
    }
}
