//! A report as a program reads it: one object per problem, positions counted from 1.

use serde_json::{Map, Value, json};

use super::{Diagnostic, Label, Report, Sources};

/// `{"errors": N, "warnings": N, "diagnostics": [...]}`.
#[must_use]
pub fn report(report: &Report) -> Value {
    let one = |diagnostic: &Diagnostic| self::diagnostic(diagnostic, &report.sources);
    json!({
        "errors": report.errors(),
        "warnings": report.warnings(),
        "diagnostics": report.diagnostics.iter().map(one).collect::<Vec<_>>(),
    })
}

/// One problem. `file`, `line`, `column`, `end_line`, `end_column` and `label` are absent where it is about no file.
#[must_use]
pub fn diagnostic(diagnostic: &Diagnostic, sources: &Sources) -> Value {
    let mut object = Map::new();
    object.insert("severity".into(), diagnostic.severity.name().into());
    object.insert("code".into(), diagnostic.code.into());
    object.insert("message".into(), diagnostic.message.clone().into());
    if let Some(primary) = &diagnostic.primary {
        object.extend(place(primary, sources));
    }
    let related: Vec<Value> = diagnostic
        .secondary
        .iter()
        .map(|label| Value::Object(place(label, sources)))
        .collect();
    object.insert("related".into(), related.into());
    object.insert("help".into(), diagnostic.help.clone().into());
    Value::Object(object)
}

fn place(label: &Label, sources: &Sources) -> Map<String, Value> {
    let start = sources.start(label.span);
    let end = sources.end(label.span);
    let mut object = Map::new();
    object.insert(
        "file".into(),
        sources.path(label.span).display().to_string().into(),
    );
    object.insert("line".into(), start.line.into());
    object.insert("column".into(), start.column.into());
    object.insert("end_line".into(), end.line.into());
    object.insert("end_column".into(), end.column.into());
    object.insert("label".into(), label.text.clone().into());
    object
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::diagnostic::{SourceFile, Span};

    #[test]
    fn a_problem_has_its_file_line_and_column() {
        let mut sources = Sources::default();
        let file = sources.add(SourceFile::new("conf/monday.yaml", "a: 1\nb: oops\n"));
        let span = Span {
            file,
            start: 8,
            end: 12,
        };
        let problem = Diagnostic::error("bad-value", "`b` is wrong")
            .at(span, "this")
            .help("write `b: 2`");
        let json = Report::new(Arc::new(sources), vec![problem]).to_json();
        assert_eq!(
            json,
            json!({
                "errors": 1,
                "warnings": 0,
                "diagnostics": [{
                    "severity": "error",
                    "code": "bad-value",
                    "message": "`b` is wrong",
                    "file": "conf/monday.yaml",
                    "line": 2, "column": 4, "end_line": 2, "end_column": 8,
                    "label": "this",
                    "related": [],
                    "help": ["write `b: 2`"],
                }],
            })
        );
    }
}
