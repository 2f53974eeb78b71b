//! What has to be done to open a batch of routes: decided before anything is touched, without any input or output.

use std::net::SocketAddr;

/// A route that is open.
#[derive(Debug)]
pub(crate) struct Open<'a, S> {
    pub(crate) id: &'a str,
    /// The wish that it was opened with.
    pub(crate) spec: &'a S,
    /// Where it was asked to listen, perhaps with port 0.
    pub(crate) asked: SocketAddr,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

/// A route that shall be open.
#[derive(Debug)]
pub(crate) struct Wanted<'a, S> {
    pub(crate) id: &'a str,
    pub(crate) spec: &'a S,
    pub(crate) listen: SocketAddr,
}

/// How a route gets what it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It has it already.
    Keep,
    /// With the listener that is open on this address: its own, or one that another route leaves in the same batch.
    Reuse(SocketAddr),
    /// With a new listener on this address.
    Bind(SocketAddr),
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
        "route `{id}` cannot listen on {address}: route `{other}` does; give one of them another port, or port 0"
    )]
    Address {
        /// The route that cannot be opened.
        id: String,
        /// The address that it wants.
        address: SocketAddr,
        /// The route that has it.
        other: String,
    },
}

/// One step for each wanted route, in the same order.
///
/// A route keeps its listener while it is asked to listen where it was asked before, so that port 0 stays the port that
/// it became; and while it is asked for the very address that it has.
///
/// # Errors
/// [`Conflict`]: the batch contradicts itself or a route that is not in it.
pub(crate) fn plan<S: PartialEq>(
    open: &[Open<'_, S>],
    wanted: &[Wanted<'_, S>],
) -> Result<Vec<Step>, Conflict> {
    for (place, want) in wanted.iter().enumerate() {
        if wanted[..place].iter().any(|earlier| earlier.id == want.id) {
            return Err(Conflict::Id {
                id: want.id.to_owned(),
            });
        }
    }
    let own = |want: &Wanted<'_, S>| open.iter().find(|open| open.id == want.id);
    let stays = |want: &Wanted<'_, S>| {
        own(want).filter(|open| want.listen == open.asked || want.listen == open.address)
    };
    // The addresses that are spoken for: by routes that stay where they are, wanted again or not asked about.
    let held_by = |address: SocketAddr| {
        open.iter().find(|open| {
            let moves_away = wanted
                .iter()
                .any(|want| want.id == open.id && stays(want).is_none());
            open.address == address && !moves_away
        })
    };
    let mut steps = Vec::with_capacity(wanted.len());
    for (place, want) in wanted.iter().enumerate() {
        if let Some(own) = stays(want) {
            steps.push(if own.spec == want.spec {
                Step::Keep
            } else {
                Step::Reuse(own.address)
            });
            continue;
        }
        let rival = wanted[..place]
            .iter()
            .find(|earlier| earlier.listen == want.listen && want.listen.port() != 0)
            .map(|earlier| earlier.id)
            .or_else(|| held_by(want.listen).map(|open| open.id));
        if let Some(other) = rival {
            return Err(Conflict::Address {
                id: want.id.to_owned(),
                address: want.listen,
                other: other.to_owned(),
            });
        }
        steps.push(if open.iter().any(|open| open.address == want.listen) {
            Step::Reuse(want.listen)
        } else {
            Step::Bind(want.listen)
        });
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn open<'a>(id: &'a str, spec: &'a &str, asked: u16, port: u16) -> Open<'a, &'a str> {
        Open {
            id,
            spec,
            asked: at(asked),
            address: at(port),
        }
    }

    fn want<'a>(id: &'a str, spec: &'a &str, port: u16) -> Wanted<'a, &'a str> {
        Wanted {
            id,
            spec,
            listen: at(port),
        }
    }

    #[test]
    fn the_same_wish_again_changes_nothing() {
        let steps = plan(&[open("a", &"x", 0, 4711)], &[want("a", &"x", 0)]);
        assert_eq!(steps, Ok(vec![Step::Keep]));
    }

    #[test]
    fn another_target_keeps_the_listener_even_on_port_0() {
        let has = [open("a", &"x", 0, 4711)];
        let own = Ok(vec![Step::Reuse(at(4711))]);
        assert_eq!(plan(&has, &[want("a", &"y", 0)]), own);
        assert_eq!(plan(&has, &[want("a", &"y", 4711)]), own);
    }

    #[test]
    fn another_address_is_bound_anew() {
        let steps = plan(&[open("a", &"x", 0, 4711)], &[want("a", &"y", 80)]);
        assert_eq!(steps, Ok(vec![Step::Bind(at(80))]));
    }

    #[test]
    fn two_routes_can_swap_their_addresses() {
        let has = [open("a", &"x", 81, 81), open("b", &"x", 82, 82)];
        let steps = plan(&has, &[want("a", &"y", 82), want("b", &"y", 81)]);
        assert_eq!(steps, Ok(vec![Step::Reuse(at(82)), Step::Reuse(at(81))]));
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
        let has = [open("a", &"x", 81, 81)];
        assert_eq!(plan(&has, &[want("b", &"x", 81)]), taken("a"));
        assert_eq!(
            plan(&has, &[want("b", &"x", 81), want("a", &"y", 81)]),
            taken("a")
        );
        assert_eq!(
            plan(&[], &[want("c", &"x", 81), want("b", &"x", 81)]),
            taken("c")
        );
    }

    #[test]
    fn any_number_of_routes_may_ask_for_a_free_port() {
        let steps = plan(&[], &[want("a", &"x", 0), want("b", &"x", 0)]);
        assert_eq!(steps, Ok(vec![Step::Bind(at(0)), Step::Bind(at(0))]));
    }

    #[test]
    fn an_id_is_there_once() {
        let twice = plan(&[], &[want("a", &"x", 0), want("a", &"x", 0)]);
        assert_eq!(twice, Err(Conflict::Id { id: "a".into() }));
    }
}
