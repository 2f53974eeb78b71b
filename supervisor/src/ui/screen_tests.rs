//! Screens of models, compared with files. `UPDATE_SCREENS=1` writes them anew: look at what changed.

use std::net::IpAddr;
use std::path::PathBuf;

use monday_shared::protocol::fwd;
use monday_shared::protocol::run::{self, Exit, Output, State, Stream};
use monday_shared::protocol::supervisor::{
    AppStatus, Event, ForwardRoute, ForwardStatus, Level, ProjectStatus, Stage, Traffic,
    TunnelStatus,
};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::super::keys::Input;
use super::super::model::{Ask, Effect, Model};
use super::*;

fn app(name: &str, phase: Phase) -> AppStatus {
    AppStatus {
        name: name.to_owned(),
        state: State {
            phase,
            pid: (phase == Phase::Running).then_some(4711),
            ..State::default()
        },
        ..AppStatus::default()
    }
}

/// A project in which everything happens at once.
fn project() -> ProjectStatus {
    let mut api = app("api", Phase::Running);
    api.hostname = Some("api.shop.test".to_owned());
    api.ip = Some(IpAddr::from([127, 77, 0, 9]));
    api.state.ready = Some(true);
    let mut looping = app("worker", Phase::Waiting);
    looping.restarts = 7;
    looping.state.exit = Some(Exit::Code(3));
    let mut building = app("web", Phase::Idle);
    building.stage = Some(Stage::Build);
    ProjectStatus {
        project: "shop".to_owned(),
        pid: 1,
        names: true,
        private_names: false,
        apps: vec![api, looping, building, app("mailer", Phase::Stopped)],
        forwards: vec![
            ForwardStatus {
                name: "orders".to_owned(),
                kind: "proxy".to_owned(),
                hostname: Some("orders.shop.test".to_owned()),
                routes: vec![ForwardRoute {
                    listen: ([127, 77, 0, 10], 8080).into(),
                    target: "staging.example.com:80".to_owned(),
                    traffic: Some(Traffic {
                        active: 2,
                        accepted: 31,
                        bytes_up: 2048,
                        bytes_down: 5_000_000,
                        ..Traffic::default()
                    }),
                }],
                tunnels: Vec::new(),
                error: None,
            },
            ForwardStatus {
                name: "db".to_owned(),
                kind: "proxy".to_owned(),
                hostname: None,
                routes: Vec::new(),
                tunnels: vec![TunnelStatus {
                    id: "db:5432".to_owned(),
                    phase: fwd::Phase::Lost,
                    via: None,
                    why: Some("bastion: connection refused; next try in 2s".to_owned()),
                }],
                error: Some("port 5432 is taken by postgres (pid 812)".to_owned()),
            },
        ],
        sidecars: Vec::new(),
    }
}

fn write(model: &mut Model, app: &str, lines: &[&str]) {
    let lines = lines.iter().map(|line| run::Line(line.as_bytes().to_vec()));
    model.event(Event::Output {
        app: app.to_owned(),
        output: Output {
            generation: 1,
            stream: Stream::Stdout,
            lines: lines.collect(),
            partial: false,
            unterminated: false,
        },
    });
}

fn model() -> Model {
    let mut model = Model::new(project(), Leaving::Stops, false);
    write(
        &mut model,
        "api",
        &[
            "listening on 127.77.0.9:80",
            "\u{1b}[32mGET\u{1b}[0m /orders 200",
        ],
    );
    write(&mut model, "web:build", &["compiling 12 files"]);
    model.event(Event::Notice {
        level: Level::Error,
        subject: Some("worker".to_owned()),
        message: "ended, exit status 3".to_owned(),
    });
    write(&mut model, "api", &["GET /orders/7 404"]);
    model
}

fn drawn(model: &mut Model, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| {
            model.layout = layout(model, frame.area());
            model.show_selected();
            draw(model, frame);
        })
        .unwrap();
    let buffer = terminal.backend().buffer();
    let mut screen = String::new();
    for row in buffer.content.chunks(usize::from(width)) {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        screen.push_str(line.trim_end());
        screen.push('\n');
    }
    screen
}

fn assert_screen(name: &str, model: &mut Model, width: u16, height: u16) {
    let seen = drawn(model, width, height);
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("src/ui/screens/{name}.txt"));
    if std::env::var_os("UPDATE_SCREENS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &seen).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(
        seen, expected,
        "the screen `{name}` is another one:\n{seen}"
    );
}

fn select(model: &mut Model, name: &str) {
    let at = model
        .rows()
        .iter()
        .position(|row| row.name() == name)
        .unwrap();
    model.input(Input::First);
    for _ in 0..at {
        model.input(Input::Move(1));
    }
}

#[test]
fn everything_at_a_glance() {
    assert_screen("all-80x24", &mut model(), 80, 24);
    assert_screen("all-60x15", &mut model(), 60, 15);
    assert_screen("all-30x8", &mut model(), 30, 8);
}

#[test]
fn one_app_and_one_forward() {
    let mut model = model();
    select(&mut model, "api");
    assert_screen("app-80x12", &mut model, 80, 12);
    model.input(Input::Zoom);
    assert_screen("zoomed-80x12", &mut model, 80, 12);
    model.input(Input::Back);
    select(&mut model, "orders");
    assert_screen("forward-80x12", &mut model, 80, 12);
    select(&mut model, "db");
    assert_screen("broken-forward-80x12", &mut model, 80, 12);
}

#[test]
fn help_question_and_search() {
    let mut model = model();
    drawn(&mut model, 80, 20);
    model.input(Input::Help);
    assert_screen("help-80x20", &mut model, 80, 20);
    model.input(Input::Back);
    assert_eq!(model.input(Input::Quit), None);
    assert_screen("quit-80x12", &mut model, 80, 12);
    assert_eq!(
        model.input(Input::Letter('y')),
        Some(Effect::Ask(Ask::Shutdown))
    );
    model.input(Input::Search);
    for letter in "orders".chars() {
        model.input(Input::Letter(letter));
    }
    assert_screen("search-80x12", &mut model, 80, 12);
    model.input(Input::Enter);
    let last = model.hit.unwrap();
    model.input(Input::NextHit { backwards: true });
    assert!(model.hit.unwrap() < last);
}

#[test]
fn nothing_is_too_small_to_be_drawn() {
    for (width, height) in [(1, 1), (5, 2), (10, 3), (17, 4), (41, 5), (300, 3)] {
        let mut model = model();
        drawn(&mut model, width, height);
        model.over = Over::Help;
        drawn(&mut model, width, height);
        model.over = Over::Quit(3);
        drawn(&mut model, width, height);
    }
}

#[test]
fn a_place_in_the_log_stays_while_lines_come_and_the_end_is_followed() {
    let mut model = model();
    select(&mut model, "api");
    for number in 0..100 {
        write(&mut model, "api", &[&format!("line {number}")]);
    }
    assert!(drawn(&mut model, 80, 10).contains("line 99"));
    model.input(Input::Switch);
    model.input(Input::Move(-10));
    let before = drawn(&mut model, 80, 10);
    assert!(
        before.contains("line 89") && !before.contains("line 90"),
        "{before}"
    );
    write(&mut model, "api", &["newer"]);
    let body = |screen: &str| screen.lines().take(9).collect::<Vec<_>>().join("\n");
    assert_eq!(body(&drawn(&mut model, 80, 10)), body(&before));
    model.input(Input::Last);
    assert!(drawn(&mut model, 80, 10).contains("newer"));
    model.input(Input::First);
    assert!(drawn(&mut model, 80, 10).contains("listening"));
}

#[test]
fn keys_become_the_calls_that_a_script_would_make() {
    let mut model = model();
    drawn(&mut model, 80, 24);
    let mut on = |name: &str, input: Input| {
        select(&mut model, name);
        model.input(input)
    };
    let ask = |ask| Some(Effect::Ask(ask));
    assert_eq!(on("api", Input::Restart), ask(Ask::Restart("api".into())));
    assert_eq!(on("api", Input::StopOrStart), ask(Ask::Stop("api".into())));
    assert_eq!(
        on("mailer", Input::StopOrStart),
        ask(Ask::Start("mailer".into()))
    );
    assert_eq!(
        on("orders", Input::Restart),
        ask(Ask::Reconnect("orders".into()))
    );
    assert_eq!(on("all", Input::Restart), None);
    assert_eq!(
        on("api", Input::Copy),
        Some(Effect::Copy("api.shop.test".into()))
    );
    assert_eq!(
        on("orders", Input::Copy),
        Some(Effect::Copy("orders.shop.test:8080".into()))
    );
    assert_eq!(on("mailer", Input::Copy), None);
    assert_eq!(on("api", Input::Interrupt), ask(Ask::Shutdown));
    assert_eq!(on("api", Input::Interrupt), ask(Ask::Kill));
}

#[test]
fn whoever_only_looks_leaves_without_a_question() {
    let mut model = Model::new(project(), Leaving::Detaches, false);
    assert_eq!(model.input(Input::Quit), Some(Effect::Leave));
    assert_eq!(model.input(Input::Interrupt), Some(Effect::Leave));
}

#[test]
fn two_hundred_apps_are_scrolled_through() {
    let apps = (0..200).map(|at| app(&format!("app-{at:03}"), Phase::Running));
    let project = ProjectStatus {
        project: "many".to_owned(),
        apps: apps.collect(),
        ..ProjectStatus::default()
    };
    let mut model = Model::new(project, Leaving::Stops, true);
    drawn(&mut model, 80, 24);
    model.input(Input::Last);
    assert!(drawn(&mut model, 80, 24).contains("app-199"));
    model.input(Input::Click { column: 3, row: 1 });
    assert!(drawn(&mut model, 80, 24).contains("app-178: running"));
}
