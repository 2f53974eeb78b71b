//! The model as cells: a list at the left, output at the right, the state of the whole at the foot. Pure: the same model
//! and size make the same screen.

use std::fmt::Write as _;

use anstyle::AnsiColor;
use monday_shared::name_colour;
use monday_shared::protocol::fwd;
use monday_shared::protocol::run::Phase;
use monday_shared::protocol::supervisor::{AppStatus, ForwardStatus};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::Leaving;
use super::ansi;
use super::keys::HELP;
use super::log::{self, Entry};
use super::model::{Focus, Layout, Model, OWN, Over, Place, Row};
use crate::commands::remote::status::state_word;
use crate::view::width::width_of;

/// The widest that the list gets.
const WIDEST_LIST: usize = 34;

/// Below this width there is the list or the output, not both.
const NARROW: u16 = 40;

/// Where everything is on a screen of this size.
pub(super) fn layout(model: &Model, area: Rect) -> Layout {
    let height = area.height.saturating_sub(2);
    let list_width = if model.zoomed {
        0
    } else if area.width < NARROW {
        match model.focus {
            Focus::List => area.width,
            Focus::Output => 0,
        }
    } else {
        let rows = model.rows();
        let widest = rows.iter().map(|row| width_of(&row_text(model, row)));
        let widest = widest.max().unwrap_or(0).clamp(14, WIDEST_LIST);
        // A third of the screen at most, and one column for the line beside it.
        let third = area.width / 3;
        u16::try_from(widest + 1)
            .unwrap_or(third)
            .min(third.max(16))
    };
    Layout {
        list_width,
        list_height: height,
        output_height: height,
    }
}

/// Draws everything.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>) {
    let area = frame.area();
    if area.height < 3 || area.width < 10 {
        return;
    }
    let Layout { list_width, .. } = model.layout;
    let body = area.height - 1;
    if list_width > 0 {
        list(model, frame, Rect::new(0, 0, list_width, body));
    }
    if list_width < area.width {
        let at = Rect::new(list_width, 0, area.width - list_width, body);
        output(model, frame, at);
    }
    foot(model, frame, Rect::new(0, body, area.width, 1));
    match model.over {
        Over::Help => help(model, frame, area),
        Over::Quit(alive) => question(model, frame, area, alive),
        Over::Nothing | Over::Search => {}
    }
}

/// A style that is left out where colours are not welcome; what stands out then is bold or reversed.
fn fg(model: &Model, colour: Color) -> Style {
    if model.colours {
        Style::new().fg(colour)
    } else {
        Style::new()
    }
}

fn heading(model: &Model, focused: bool) -> Style {
    let style = Style::new().add_modifier(Modifier::BOLD);
    if focused {
        style.patch(fg(model, Color::Cyan))
    } else {
        style
    }
}

/// The sign before a name, which says how it is without colours as well.
fn sign(model: &Model, row: &Row) -> (&'static str, Color) {
    match row {
        Row::All => (" ", Color::Reset),
        Row::App(name) => model.app(name).map_or((" ", Color::Reset), app_sign),
        Row::Forward(name) => match model.forward(name) {
            Some(forward) if forward.error.is_some() => ("✗", Color::Red),
            Some(forward) if is_worst(forward, fwd::Phase::Failed) => ("✗", Color::Red),
            Some(forward) if forward.routes.is_empty() => ("○", Color::DarkGray),
            Some(forward) if is_worst(forward, fwd::Phase::Lost) => ("↻", Color::Red),
            Some(forward) if is_worst(forward, fwd::Phase::Connecting) => ("◌", Color::Yellow),
            _ => ("→", Color::Green),
        },
    }
}

/// Whether one of its tunnels is like that.
fn is_worst(forward: &ForwardStatus, phase: fwd::Phase) -> bool {
    forward.tunnels.iter().any(|tunnel| tunnel.phase == phase)
}

fn app_sign(app: &AppStatus) -> (&'static str, Color) {
    if app.stage.is_some() {
        return ("◌", Color::Yellow);
    }
    match app.state.phase {
        Phase::Running if app.state.ready == Some(false) => ("◌", Color::Yellow),
        Phase::Running => ("●", Color::Green),
        Phase::Stopping => ("◌", Color::Yellow),
        Phase::Waiting => ("↻", Color::Red),
        Phase::Failed => ("✗", Color::Red),
        Phase::Exited if app.state.exit.is_some_and(|exit| exit.shell_status() != 0) => {
            ("✗", Color::Red)
        }
        Phase::Exited => ("✓", Color::Green),
        Phase::Idle | Phase::Stopped => ("○", Color::DarkGray),
    }
}

fn row_text(model: &Model, row: &Row) -> String {
    let (sign, _) = sign(model, row);
    let restarts = match row {
        Row::App(name) => model.app(name).map_or(0, |app| app.restarts),
        _ => 0,
    };
    match restarts {
        0 => format!("{sign} {}", row.name()),
        times => format!("{sign} {} ×{times}", row.name()),
    }
}

fn list(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let focused = model.focus == Focus::List;
    let title = Span::styled(model.project.project.clone(), heading(model, focused));
    let mut lines = vec![Line::from(title)];
    let height = usize::from(area.height.saturating_sub(1));
    for (at, row) in model.rows().iter().enumerate().skip(model.top).take(height) {
        let text = row_text(model, row);
        let (sign, colour) = sign(model, row);
        let name = text.strip_prefix(sign).unwrap_or(&text).to_owned();
        let mut line = Line::from(vec![Span::styled(sign, fg(model, colour)), Span::raw(name)]);
        if at == model.selected {
            let rest = usize::from(area.width.saturating_sub(1));
            let blanks = rest.saturating_sub(width_of(&text));
            line.push_span(" ".repeat(blanks));
            line = line.style(Style::new().add_modifier(Modifier::REVERSED));
        }
        lines.push(line);
    }
    let inner = Rect {
        width: area.width.saturating_sub(1),
        ..area
    };
    frame.render_widget(Paragraph::new(lines), inner);
    let beside = Rect::new(area.right().saturating_sub(1), area.y, 1, area.height);
    let line = Block::new().borders(ratatui::widgets::Borders::LEFT);
    frame.render_widget(line.border_style(fg(model, Color::DarkGray)), beside);
}

fn output(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let row = model.row();
    let focused = model.focus == Focus::Output;
    let mut lines = vec![Line::from(Span::styled(
        title(model, &row),
        heading(model, focused),
    ))];
    let details = match &row {
        Row::Forward(name) => model.forward(name).map(details).unwrap_or_default(),
        _ => Vec::new(),
    };
    lines.extend(details.into_iter().map(Line::from));
    let height = u64::from(area.height).saturating_sub(lines.len() as u64);
    if let Some(log) = model.log() {
        let until = match model.place {
            Place::Following => log.end(),
            Place::Until(number) => number.min(log.end()),
        };
        let from = until.saturating_sub(height);
        let with_label = row == Row::All;
        let width = label_width(model);
        for (number, entry) in log.range(from, until) {
            let hit = model.hit == Some(number);
            lines.push(entry_line(model, entry, with_label.then_some(width), hit));
        }
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn title(model: &Model, row: &Row) -> String {
    match row {
        Row::All => "output of all".to_owned(),
        Row::App(name) => match model.app(name) {
            Some(app) => app_title(model, app),
            None => name.clone(),
        },
        Row::Forward(name) => match model.forward(name) {
            Some(forward) => format!("{name}: {}", forward.kind),
            None => name.clone(),
        },
    }
}

fn app_title(model: &Model, app: &AppStatus) -> String {
    let mut text = format!("{}: {}", app.name, state_word(app));
    // Writing into a string cannot fail.
    let _ = match (app.state.pid, app.state.exit) {
        (Some(pid), _) => write!(text, ", pid {pid}"),
        (None, Some(exit)) => write!(text, ", {exit}"),
        (None, None) => Ok(()),
    };
    let _ = match (&app.hostname, app.ip) {
        (Some(hostname), Some(_)) if model.project.names => write!(text, "  {hostname}"),
        (_, Some(ip)) => write!(text, "  {ip}"),
        _ => Ok(()),
    };
    text
}

/// Where a forward listens and leads, and what went through it.
fn details(forward: &ForwardStatus) -> Vec<String> {
    let mut lines: Vec<String> = forward
        .routes
        .iter()
        .map(|route| {
            let traffic = route.traffic.as_ref().map(|traffic| {
                format!(
                    "   {} open of {}, {} in, {} out",
                    traffic.active,
                    traffic.accepted,
                    crate::view::width::bytes(traffic.bytes_up),
                    crate::view::width::bytes(traffic.bytes_down)
                )
            });
            let traffic = traffic.unwrap_or_default();
            format!("{} -> {}{traffic}", route.listen, route.target)
        })
        .collect();
    lines.extend(forward.tunnels.iter().map(|tunnel| {
        let via = tunnel.via.as_ref().map(|via| format!(" via {via}"));
        let why = tunnel.why.as_ref().map(|why| format!(": {why}"));
        let (via, why) = (via.unwrap_or_default(), why.unwrap_or_default());
        format!("tunnel {}{via}{why}", tunnel.phase)
    }));
    lines.extend(forward.error.iter().map(|error| format!("error: {error}")));
    lines.push(String::new());
    lines
}

fn label_width(model: &Model) -> usize {
    let labels = model.labels().map(width_of);
    labels.max().unwrap_or(0).max(OWN.len())
}

fn entry_line(model: &Model, entry: &Entry, label: Option<usize>, hit: bool) -> Line<'static> {
    let mut spans = Vec::new();
    if let Some(width) = label {
        let blanks = width.saturating_sub(width_of(&entry.label));
        let text = format!("{}{} | ", entry.label, " ".repeat(blanks));
        spans.push(Span::styled(text, label_style(model, &entry.label)));
    }
    spans.extend(ansi::spans(&entry.text, model.colours));
    let line = Line::from(spans);
    if hit {
        line.style(Style::new().add_modifier(Modifier::REVERSED))
    } else if log::contains(&entry.text, &model.words) {
        line.style(Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED))
    } else {
        line
    }
}

fn label_style(model: &Model, label: &str) -> Style {
    if label == OWN {
        return Style::new().add_modifier(Modifier::BOLD);
    }
    match name_colour::style_of(label).get_fg_color() {
        Some(anstyle::Color::Ansi(colour)) => fg(model, indexed(colour)),
        _ => Style::new(),
    }
}

fn indexed(colour: AnsiColor) -> Color {
    Color::Indexed(anstyle::Ansi256Color::from(colour).0)
}

fn foot(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let text = if model.over == Over::Search {
        format!("/{}▏", model.words)
    } else if let Some(message) = &model.message {
        message.clone()
    } else {
        summary(model)
    };
    let keys = match model.leaving {
        Leaving::Stops => " ? keys  q quit ",
        Leaving::Detaches => " ? keys  q leave ",
    };
    let width = usize::from(area.width);
    let room = width.saturating_sub(keys.len());
    let mut left: String = text.chars().take(room).collect();
    let blanks = room.saturating_sub(width_of(&left));
    left.extend(std::iter::repeat_n(' ', blanks));
    let style = Style::new().add_modifier(Modifier::REVERSED);
    let line = Line::from(vec![Span::raw(left), Span::raw(keys)]).style(style);
    frame.render_widget(Paragraph::new(line), area);
}

/// How the whole is: `3 running, 1 failed, 2 forwards open`.
fn summary(model: &Model) -> String {
    let mut running = 0;
    let mut not_ready = 0;
    let mut failed = 0;
    let mut stopped = 0;
    for app in &model.project.apps {
        match app_sign(app).0 {
            "●" => running += 1,
            "◌" => not_ready += 1,
            "✗" | "↻" => failed += 1,
            _ => stopped += 1,
        }
    }
    let (broken, open): (Vec<_>, Vec<_>) = model
        .project
        .forwards
        .iter()
        .partition(|forward| forward.error.is_some());
    let counts = [
        (running, "running"),
        (not_ready, "not ready"),
        (failed, "failed"),
        (stopped, "not running"),
        (open.len(), "forwarded"),
        (broken.len(), "not forwarded"),
    ];
    let mut parts: Vec<String> = counts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    match &model.stopping {
        Some(reason) => parts.insert(0, format!("stopping: {reason}")),
        None if matches!(model.place, Place::Until(_)) => {
            parts.insert(0, "not following (f follows)".to_owned());
        }
        None => {}
    }
    format!(" {}", parts.join(", "))
}

/// A box in the middle of the screen.
fn framed(
    model: &Model,
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    lines: Vec<Line<'static>>,
) {
    let widest = lines.iter().map(Line::width).max().unwrap_or(0);
    let width = u16::try_from(widest + 4)
        .unwrap_or(area.width)
        .min(area.width);
    let height = u16::try_from(lines.len() + 2)
        .unwrap_or(area.height)
        .min(area.height);
    let at = Rect::new(
        (area.width - width) / 2,
        (area.height - height) / 2,
        width,
        height,
    );
    let block = Block::bordered()
        .title(format!(" {title} "))
        .border_style(fg(model, Color::Cyan))
        .padding(ratatui::widgets::Padding::horizontal(1));
    frame.render_widget(Clear, at);
    frame.render_widget(Paragraph::new(lines).block(block), at);
}

fn help(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let lines = HELP
        .iter()
        .map(|(keys, what)| {
            let what = match (*keys, model.leaving) {
                ("q", Leaving::Stops) => "stop everything and quit",
                ("q", Leaving::Detaches) => "leave; the project goes on",
                ("ctrl-c", Leaving::Detaches) => "the same",
                _ => what,
            };
            Line::from(format!("{keys:<16} {what}"))
        })
        .collect();
    framed(model, frame, area, "keys", lines);
}

fn question(model: &Model, frame: &mut Frame<'_>, area: Rect, alive: usize) {
    let apps = if alive == 1 {
        "1 app runs and will be stopped.".to_owned()
    } else {
        format!("{alive} apps run and will be stopped.")
    };
    let lines = vec![
        Line::from(apps),
        Line::from(""),
        Line::from("y, enter: stop them and quit"),
        Line::from("any other key: go on"),
    ];
    framed(model, frame, area, "quit?", lines);
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
