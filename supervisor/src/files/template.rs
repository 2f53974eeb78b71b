//! Renders a Go template (text/template), through the crate `gotmpl`.

use gotmpl::{MissingKey, Template};

use super::{Data, blocks};

/// How often a `range` may go around: templates go over a project's apps, not over numbers.
const MAX_RANGE: u64 = 1_000_000;

/// The longest result, in bytes: far above any configuration file, far below what hurts.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// What is wrong with a template.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// It is no template, or it asks for something that is not there.
    #[error("{0}")]
    Wrong(String),
    /// It never ends.
    #[error("it makes more than {MAX_BYTES} bytes")]
    TooLong,
}

/// Whether a text is a template at all.
///
/// # Errors
/// [`TemplateError::Wrong`]: it is none.
pub fn check(template: &str) -> Result<(), TemplateError> {
    parse(template).map(drop)
}

fn parse(template: &str) -> Result<Template, TemplateError> {
    blocks::check(template).map_err(|unbalanced| {
        let before = &template[..unbalanced.at];
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        let message = unbalanced.message;
        TemplateError::Wrong(format!("template: content:{line}:{column}: {message}"))
    })?;
    Template::new("content")
        // A key that does not exist is a mistake in the template, as it is with Go's structures.
        .missing_key(MissingKey::Error)
        .max_range_iters(MAX_RANGE)
        .parse(template)
        .map_err(|error| wrong(&error))
}

fn wrong(error: &dyn std::fmt::Display) -> TemplateError {
    TemplateError::Wrong(error.to_string())
}

/// Renders a template.
///
/// # Errors
/// [`TemplateError`]: with line and column as Go would tell them.
pub fn render(template: &str, data: &Data) -> Result<String, TemplateError> {
    let data = gotmpl::to_value(data).map_err(|e| wrong(&e))?;
    let template = parse(template)?;
    let mut text = Bounded(String::new());
    match template.execute_fmt(&mut text, &data) {
        Ok(()) => Ok(text.0),
        Err(_) if text.0.len() >= MAX_BYTES => Err(TemplateError::TooLong),
        Err(error) => Err(wrong(&error)),
    }
}

/// A text that stops growing.
struct Bounded(String);

impl std::fmt::Write for Bounded {
    fn write_str(&mut self, piece: &str) -> std::fmt::Result {
        let room = MAX_BYTES - self.0.len();
        if piece.len() > room {
            // Filled up, so that the reason can be told from any other.
            self.0.extend(std::iter::repeat_n(' ', room));
            return Err(std::fmt::Error);
        }
        self.0.push_str(piece);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::config::{self, Project, Search};

    const FILE: &str = "
projects:
  - name: shop
    local:
      - {name: web, path: /src, hostname: web.test, monitoring: {port: 9100, url: /metrics}}
      - {name: worker, path: /src, run: {command: 'true'}}
";

    fn project() -> Project {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("monday.yaml");
        std::fs::write(&file, FILE).unwrap();
        let loaded = config::load(&Search::only([file])).unwrap();
        loaded.project("shop").unwrap().clone()
    }

    fn rendered(template: &str) -> Result<String, TemplateError> {
        let data = Data::of(&project(), |_| Some(IpAddr::from([127, 77, 0, 1])));
        render(template, &data)
    }

    #[test]
    fn a_template_goes_over_the_apps_with_trimming_and_conditions() {
        let template = "{{- range $app := .Applications }}\n{{- if $app.Monitoring }}\n- {{ $app.Name }}: \
                        {{ $app.Hostname }}:{{ $app.Monitoring.Port }}{{ $app.Monitoring.URL }} {{ $app.IP }}\n\
                        {{- else }}\n# {{ $app.Name }} in {{ $app.GetPath }}\n{{- end }}\n{{- end }}\n";
        assert_eq!(
            rendered(template).unwrap(),
            "\n- web: web.test:9100/metrics 127.77.0.1\n# worker in /src\n"
        );
    }

    #[test]
    fn a_key_that_does_not_exist_is_an_error_that_names_it() {
        let error = rendered("{{ range .Applications }}{{ .Nmae }}{{ end }}").unwrap_err();
        assert!(error.to_string().contains("Nmae"), "{error}");
    }

    #[test]
    fn a_block_without_end_and_an_end_without_block_are_errors_with_their_place() {
        let error = check("a\n{{ range .Applications }}")
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("template: content:2:1: "), "{error}");
        assert!(rendered("{{ range .Applications }}").is_err());
        assert!(rendered("a{{ end }}b").is_err());
    }

    #[test]
    fn a_template_that_never_ends_is_stopped() {
        let endless = r#"{{ define "a" }}xxxxxxxx{{ template "a" . }}{{ template "a" . }}{{ end }}{{ template "a" . }}"#;
        assert!(rendered(endless).is_err());
        let long = format!(
            "{{{{ range .Applications }}}}{}{{{{ end }}}}",
            "x".repeat(MAX_BYTES)
        );
        assert!(matches!(rendered(&long), Err(TemplateError::TooLong)));
    }
}
