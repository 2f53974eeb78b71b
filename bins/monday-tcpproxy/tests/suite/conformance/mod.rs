//! What every good relay does: one list of cases over this one, on each of its copy paths, and over haproxy for reference.
//! Where haproxy does something else, a case says what ([`relays::Deviation`]).

mod bulk;
mod endings;
mod limits;
mod relays;
mod schedules;

use relays::{Relay, Relayed};

/// Makes a test of each case for each relay.
macro_rules! over_every_relay {
    ($($module:ident::$case:ident),+ $(,)?) => {
        mod through_the_buffer {
            $(#[test] fn $case() { super::run(super::Relay::Monday("buffer"), super::$module::$case); })+
        }
        mod through_pipes {
            $(#[test] fn $case() { super::run(super::Relay::Monday("splice"), super::$module::$case); })+
        }
        mod as_it_comes {
            $(#[test] fn $case() { super::run(super::Relay::Monday("auto"), super::$module::$case); })+
        }
        mod through_haproxy {
            $(#[test] fn $case() { super::run(super::Relay::Haproxy, super::$module::$case); })+
        }
    };
}

over_every_relay!(
    endings::a_client_may_end_its_stream_at_any_point,
    endings::a_target_may_end_its_stream_at_any_point,
    endings::a_reset_of_the_client_is_one_at_the_target,
    endings::a_reset_of_the_target_is_one_at_the_client,
    endings::both_sides_may_end_at_once,
    endings::an_empty_connection_ends_cleanly,
    endings::what_was_sent_before_the_sender_went_away_is_delivered,
    endings::a_target_that_refuses_is_a_reset,
    endings::fifty_megabytes_of_a_client_that_has_closed_arrive_and_nothing_of_it_stays,
    bulk::single_bytes_pass_one_by_one,
    bulk::sixty_four_mebibytes_pass_each_way_at_once,
    bulk::messages_of_every_size_pass,
    bulk::a_slow_reader_holds_up_its_writer_and_nobody_else,
    limits::a_target_that_restarts_under_load_is_found_again,
    limits::out_of_descriptors_clients_wait_for_their_turn,
    schedules::random_conversations_arrive_whole,
);

/// How often haproxy may try: now and then it resets what should end cleanly. It is here to show that a case asks for
/// nothing out of the ordinary, and once is enough for that.
const TRIES_OF_HAPROXY: usize = 3;

/// Runs a case; afterwards nothing of it may be left.
fn run(relay: Relay, case: fn(&mut Relayed)) {
    let once = || {
        if let Some(mut relayed) = Relayed::start(relay) {
            case(&mut relayed);
            relayed.assert_nothing_left();
        }
    };
    let patience = match relay {
        Relay::Monday(_) => 0,
        Relay::Haproxy => TRIES_OF_HAPROXY - 1,
    };
    if !(0..patience).any(|_| std::panic::catch_unwind(once).is_ok()) {
        once();
    }
}

/// One test, since all of them wait for the same minute.
#[test]
fn a_client_that_half_closes_gets_its_answer_a_minute_later_through_every_relay() {
    let relays = ["buffer", "splice", "auto"].map(Relay::Monday);
    let relays = relays.into_iter().chain([Relay::Haproxy]);
    let waiting: Vec<_> = relays
        .filter_map(Relayed::start)
        .map(|relayed| (endings::asked(&relayed), relayed))
        .collect();
    std::thread::sleep(std::time::Duration::from_secs(60));
    for (asked, relayed) in waiting {
        asked.answer();
        relayed.assert_nothing_left();
    }
}
