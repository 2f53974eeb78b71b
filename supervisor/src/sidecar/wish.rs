//! What a sidecar is told whenever it was started again: the whole wish, or, where something of it is refused, piece by
//! piece, so that one port which somebody else took meanwhile keeps nothing else away.

use monday_shared::protocol::fwd::Open as OpenTunnels;
use monday_shared::protocol::ipalias::Assign;
use monday_shared::protocol::method::Call;
use monday_shared::protocol::run::Start;
use monday_shared::protocol::tcpproxy::Open;
use monday_shared::protocol::watch::Watch;

/// A call that carries all that a sidecar is to do.
pub trait Wish: Call + Clone + PartialEq + Send + Sync + 'static {
    /// The same in pieces, each of which can be granted without the others.
    #[must_use]
    fn pieces(&self) -> Vec<Self> {
        vec![self.clone()]
    }

    /// What a piece is about: a forward, a host name. Such a piece that was refused is asked for again until it is
    /// granted; others are not, since whoever wished for them hears of it.
    #[must_use]
    fn subject(&self) -> Option<String> {
        None
    }
}

impl Wish for Start {}

impl Wish for Watch {}

impl Wish for OpenTunnels {}

impl Wish for Assign {
    fn pieces(&self) -> Vec<Self> {
        let names = self.names.iter();
        names
            .map(|name| Self {
                names: vec![name.clone()],
            })
            .collect()
    }

    fn subject(&self) -> Option<String> {
        self.names.first().map(|name| name.name.clone())
    }
}

/// All ports of a forward are there or none.
impl Wish for Open {
    fn pieces(&self) -> Vec<Self> {
        let mut pieces: Vec<Self> = Vec::new();
        for route in &self.routes {
            let forward = forward_of(&route.id);
            let known = pieces
                .iter_mut()
                .find(|piece| piece.routes.iter().any(|it| forward_of(&it.id) == forward));
            match known {
                Some(piece) => piece.routes.push(route.clone()),
                None => pieces.push(Self {
                    routes: vec![route.clone()],
                    live: self.live,
                }),
            }
        }
        pieces
    }

    fn subject(&self) -> Option<String> {
        let route = self.routes.first()?;
        Some(forward_of(&route.id).to_owned())
    }
}

/// The forward that a route belongs to: its id is `forward:L`.
#[must_use]
pub fn forward_of(id: &str) -> &str {
    id.rsplit_once(':').map_or(id, |(forward, _)| forward)
}

#[cfg(test)]
mod tests {
    use super::*;
    use monday_shared::protocol::ipalias::NameSpec;
    use monday_shared::protocol::tcpproxy::RouteSpec;

    #[test]
    fn routes_are_told_a_forward_at_a_time_and_names_one_by_one() {
        let route = |id: &str| RouteSpec::new(id, "127.0.0.1:0", "127.0.0.1:1");
        let open = Open::new(vec![route("db:1"), route("api:80"), route("db:2")]);
        let pieces: Vec<_> = open
            .pieces()
            .iter()
            .map(|piece| (piece.subject().unwrap(), piece.routes.len()))
            .collect();
        assert_eq!(pieces, [("db".to_owned(), 2), ("api".to_owned(), 1)]);
        let assign = Assign {
            names: vec![NameSpec::new("a.test"), NameSpec::new("b.test")],
        };
        let pieces = assign.pieces();
        assert_eq!(pieces.len(), 2);
        assert_eq!(pieces[1].subject().as_deref(), Some("b.test"));
    }
}
