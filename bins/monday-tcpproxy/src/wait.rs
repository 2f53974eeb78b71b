//! Waiting until something holds for routes.

use std::time::Duration;

use futures_util::future::join_all;
use monday_shared::protocol::error::{ErrorKind, RpcError};
use monday_shared::protocol::tcpproxy::{RouteStatus, Routes, Until, Wait};
use tokio::time::{Instant, sleep_until};

use crate::table::Table;
use monday_shared::address::Target;
use monday_shared::dial::{Patience, dial};

/// How often to look. Nothing that was counted is lost between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What a target has to answer at least, however little time is left: one that is there needs less.
const SHORTEST_DIAL: Duration = Duration::from_millis(100);

/// Waits.
///
/// # Errors
/// [`ErrorKind::Timeout`] with what does not hold; [`ErrorKind::NotFound`] for a route that is not open;
/// [`ErrorKind::InvalidParams`] for a count of what is not counted.
pub(crate) async fn wait(table: &Table, wish: Wait) -> Result<Routes, RpcError> {
    if wish.count.is_some() && wish.until != Until::Connections {
        return Err(RpcError::invalid_params(
            "wait",
            "`count` goes with `until` being `connections`",
        ));
    }
    let deadline = Instant::now().checked_add(wish.timeout.0);
    let is_over = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
    loop {
        let routes = choose(table.list().await?, &wish.ids)?;
        let lacking = lacking(&routes, &wish, deadline).await;
        if lacking.is_empty() {
            return Ok(Routes { routes });
        }
        if is_over() {
            return Err(RpcError::new(
                ErrorKind::Timeout,
                format!("waited {} in vain: {}", wish.timeout, lacking.join("; ")),
            ));
        }
        let again = Instant::now() + LOOK_EVERY;
        sleep_until(deadline.map_or(again, |deadline| again.min(deadline))).await;
    }
}

/// The routes of these ids; of none: all.
fn choose(mut open: Vec<RouteStatus>, ids: &[String]) -> Result<Vec<RouteStatus>, RpcError> {
    if let Some(id) = ids
        .iter()
        .find(|id| open.iter().all(|route| route.id != **id))
    {
        return Err(RpcError::new(
            ErrorKind::NotFound,
            format!("there is no route `{id}` to wait for: open it first"),
        ));
    }
    open.retain(|route| ids.is_empty() || ids.contains(&route.id));
    Ok(open)
}

/// What does not hold yet, a sentence per route.
async fn lacking(routes: &[RouteStatus], wish: &Wait, deadline: Option<Instant>) -> Vec<String> {
    let asked = routes.iter().map(|route| async {
        let lack = match wish.until {
            Until::Target => unreachable_because(route, deadline).await,
            Until::Connections | Until::Idle => uncounted(route, wish),
        };
        lack.map(|lack| format!("route `{}`: {lack}", route.id))
    });
    join_all(asked).await.into_iter().flatten().collect()
}

fn uncounted(route: &RouteStatus, wish: &Wait) -> Option<String> {
    let wanted = wish.count.unwrap_or(1);
    match wish.until {
        Until::Connections if route.accepted < wanted => Some(format!(
            "{} of {wanted} connections were accepted",
            route.accepted
        )),
        Until::Idle if route.active > 0 => Some(format!("{} connections are open", route.active)),
        _ => None,
    }
}

async fn unreachable_because(route: &RouteStatus, deadline: Option<Instant>) -> Option<String> {
    let target: Target = match route.target.parse() {
        Ok(target) => target,
        Err(error) => return Some(format!("{error}")),
    };
    let left = deadline.map_or(Duration::MAX, |deadline| {
        deadline.saturating_duration_since(Instant::now())
    });
    let once = Patience {
        connect_timeout: left.max(SHORTEST_DIAL),
        connect_wait: Duration::ZERO,
    };
    dial(&target, once)
        .await
        .err()
        .map(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(id: &str, accepted: u64, active: u64) -> RouteStatus {
        RouteStatus {
            id: id.to_owned(),
            listen: "127.0.0.1:1".parse().unwrap(),
            also: vec![],
            target: "127.0.0.1:2".to_owned(),
            active,
            accepted,
            failed: 0,
            bytes_up: 0,
            bytes_down: 0,
            reset: 0,
            last_error: None,
            faults: vec![],
            draining: false,
        }
    }

    fn wish(until: Until, count: Option<u64>) -> Wait {
        Wait {
            ids: vec![],
            until,
            count,
            timeout: monday_shared::duration::Span::default(),
        }
    }

    #[test]
    fn connections_are_counted_since_the_route_was_opened() {
        let two = wish(Until::Connections, Some(2));
        assert_eq!(uncounted(&route("r", 2, 0), &two), None);
        let lack = uncounted(&route("r", 1, 1), &two).unwrap();
        assert_eq!(lack, "1 of 2 connections were accepted");
        assert_eq!(
            uncounted(&route("r", 1, 0), &wish(Until::Connections, None)),
            None
        );
    }

    #[test]
    fn a_route_is_idle_without_a_connection() {
        let idle = wish(Until::Idle, None);
        assert_eq!(uncounted(&route("r", 9, 0), &idle), None);
        assert!(uncounted(&route("r", 9, 1), &idle).is_some());
    }

    #[test]
    fn no_id_means_every_route_and_an_unknown_one_is_named() {
        let open = || vec![route("a", 0, 0), route("b", 0, 0)];
        assert_eq!(choose(open(), &[]).unwrap().len(), 2);
        assert_eq!(choose(open(), &["b".into()]).unwrap()[0].id, "b");
        let error = choose(open(), &["c".into()]).unwrap_err();
        assert_eq!(error.data.kind, ErrorKind::NotFound);
        assert!(error.message.contains("`c`"));
    }
}
