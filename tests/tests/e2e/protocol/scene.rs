//! What the reference shows, as scenes: an executable is started, and then lines go back and forth.

use monday_tests::document::{self, Block};
use monday_tests::executable;

/// The reference.
pub(super) fn text() -> String {
    let path = executable::workspace().join("shared/PROTOCOL.md");
    std::fs::read_to_string(path).expect("the reference can be read")
}

/// One life of one executable, as the reference shows it.
pub(super) struct Scene {
    /// The words that start it.
    pub(super) command: Vec<String>,
    /// Whether it gets ready. A project whose tunnel leads nowhere never does.
    pub(super) gets_ready: bool,
    /// Files to write into its folder before: name and content.
    pub(super) files: Vec<(String, String)>,
    pub(super) blocks: Vec<Block>,
}

pub(super) fn scenes() -> Vec<Scene> {
    let mut scenes: Vec<Scene> = Vec::new();
    let mut files = Vec::new();
    for block in document::blocks(&text()) {
        match block.directive.as_deref() {
            Some(start @ ("start" | "start, never ready")) => scenes.push(Scene {
                gets_ready: start == "start",
                command: block.text.split_whitespace().map(str::to_owned).collect(),
                files: std::mem::take(&mut files),
                blocks: Vec::new(),
            }),
            Some(directive) if directive.starts_with("file ") => {
                files.push((directive["file ".len()..].to_owned(), block.text));
            }
            _ => scenes
                .last_mut()
                .expect("a block comes after a start")
                .blocks
                .push(block),
        }
    }
    scenes
}

pub(super) fn lines_of(name: &str) -> impl Iterator<Item = Line> {
    scenes()
        .into_iter()
        .filter(move |scene| scene.command[0] == name)
        .flat_map(|scene| scene.blocks)
        .filter(|block| block.language == "text")
        .flat_map(|block| lines(&block))
}

/// One line of an example.
#[derive(Debug)]
pub(super) enum Line {
    /// What a client sends.
    Request(String),
    /// What it gets.
    Answer(String),
    /// What happens meanwhile.
    Happening(String),
}

pub(super) fn lines(block: &Block) -> Vec<Line> {
    let mut lines = Vec::new();
    for (at, text) in block.text.lines().enumerate() {
        if let Some(request) = text.strip_prefix("→ ") {
            lines.push(Line::Request(request.to_owned()));
        } else if let Some(answer) = text.strip_prefix("← ") {
            lines.push(Line::Answer(answer.to_owned()));
        } else if let Some(happening) = text.strip_prefix("# ") {
            lines.push(Line::Happening(happening.to_owned()));
        } else if let (Some(more), Some(Line::Answer(answer))) =
            (text.strip_prefix("   "), lines.last_mut())
        {
            answer.push_str(more);
        } else {
            panic!("PROTOCOL.md:{}: what is this line? {text}", block.line + at);
        }
    }
    lines
}
