//! Reads the fenced blocks of a Markdown document, so that a test can run what the document shows.

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What follows the opening fence: `sh`, `yaml`, `json`, …
    pub language: String,
    /// The number of its first line, counted from 1.
    pub line: usize,
    /// The headings that it is below, outermost first.
    pub headings: Vec<String>,
    /// What a `<!-- test: … -->` right before it says.
    pub directive: Option<String>,
    /// Its text, every line with its line feed.
    pub text: String,
}

/// The fenced blocks of a document, in order.
#[must_use]
pub fn blocks(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut headings: Vec<(usize, String)> = Vec::new();
    let mut directive = None;
    let mut open: Option<Block> = None;
    for (at, line) in document.lines().enumerate() {
        if let Some(block) = &mut open {
            if line == "```" {
                blocks.extend(open.take());
            } else {
                block.text.push_str(line);
                block.text.push('\n');
            }
        } else if let Some(language) = line.strip_prefix("```") {
            open = Some(Block {
                language: language.trim().to_owned(),
                line: at + 2,
                headings: headings
                    .iter()
                    .map(|(_, heading)| heading.clone())
                    .collect(),
                directive: directive.take(),
                text: String::new(),
            });
        } else if let Some(said) = said_to_the_test(line) {
            directive = Some(said.to_owned());
        } else if !line.trim().is_empty() {
            directive = None;
            if let Some((level, heading)) = heading(line) {
                headings.retain(|(above, _)| *above < level);
                headings.push((level, heading.to_owned()));
            }
        }
    }
    blocks
}

/// The rows of a table's first column, its code marks taken off, below the heading.
#[must_use]
pub fn rows_below<'a>(document: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    document
        .lines()
        .skip_while(|line| line.trim_start_matches('#').trim() != heading || !line.starts_with('#'))
        .skip(1)
        .take_while(|line| !line.starts_with('#'))
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().trim_matches('`'))
                .collect()
        })
        .collect()
}

fn said_to_the_test(line: &str) -> Option<&str> {
    let said = line.trim().strip_prefix("<!--")?.strip_suffix("-->")?;
    said.trim().strip_prefix("test:").map(str::trim)
}

fn heading(line: &str) -> Option<(usize, &str)> {
    let level = line.chars().take_while(|c| *c == '#').count();
    let text = line[level..].strip_prefix(' ')?;
    (level > 0).then_some((level, text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\
# One
## Two
<!-- test: skip because of something -->
```sh
# not a heading
echo
```
### Three
| `a` | 1 |
| `b` | 2 |
## Four
text
```json
{}
```
";

    #[test]
    fn a_block_knows_its_language_headings_directive_and_place() {
        let blocks = blocks(DOCUMENT);
        assert_eq!(blocks.len(), 2);
        assert_eq!(blocks[0].text, "# not a heading\necho\n");
        assert_eq!(blocks[0].headings, ["One", "Two"]);
        assert_eq!(
            blocks[0].directive.as_deref(),
            Some("skip because of something")
        );
        assert_eq!(blocks[0].line, 5);
        assert_eq!(blocks[1].headings, ["One", "Four"]);
        assert_eq!(blocks[1].directive, None);
    }

    #[test]
    fn a_table_is_found_below_its_heading() {
        assert_eq!(
            rows_below(DOCUMENT, "Three"),
            [vec!["a", "1"], vec!["b", "2"]]
        );
        assert!(rows_below(DOCUMENT, "Four").is_empty());
    }
}
