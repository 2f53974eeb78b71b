//! What holds for any text as a template: it is rendered or refused.

use std::sync::LazyLock;

use monday_supervisor::config::{Search, load};
use monday_supervisor::files::{Data, template};

static DATA: LazyLock<Data> = LazyLock::new(|| {
    let file = std::env::temp_dir().join(format!("monday-fuzz-{}.yaml", std::process::id()));
    let text = "projects: [{name: shop, local: [{name: api, path: /x, hostname: api.local, monitoring: {port: 1, url: /m}}, \
                {name: b, run: {command: x, env: {A: 1}}}], forward: [{name: f, type: kubernetes, values: {labels: {a: b}, ports: [1]}}]}]\n";
    std::fs::write(&file, text).unwrap();
    let loaded = load(&Search::only([file.clone()])).unwrap();
    let _ = std::fs::remove_file(file);
    Data::of(&loaded.projects[0], |_| None)
});

/// Any text as a template.
pub(crate) fn check(text: &str) {
    let _ = template::render(text, &DATA);
}
