//! The names of a request: known ones, each once, or a hint at what was meant.

use monday_shared::protocol::error::{ErrorKind, RpcError};

use crate::config::suggest::nearest;

/// The names that were asked for, each once; all of them where none was.
///
/// # Errors
/// One that does not exist, with the nearest that does.
pub(super) fn chosen(
    asked: &[String],
    known: Vec<String>,
    kind: &str,
) -> Result<Vec<String>, RpcError> {
    if asked.is_empty() {
        return Ok(known);
    }
    let mut chosen: Vec<String> = Vec::new();
    for name in asked {
        if !known.contains(name) {
            return Err(unknown(name, &known, kind));
        }
        if !chosen.contains(name) {
            chosen.push(name.clone());
        }
    }
    Ok(chosen)
}

fn unknown(name: &str, known: &[String], kind: &str) -> RpcError {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let hint = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? "),
        None => String::new(),
    };
    let those = if known.is_empty() {
        format!("the project has no {kind}s")
    } else {
        format!("the {kind}s are: {}", known.join(", "))
    };
    RpcError::new(
        ErrorKind::NotFound,
        format!("there is no {kind} `{name}`; {hint}{those}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn none_means_all_and_twice_means_once() {
        let known = texts(&["api", "web"]);
        assert_eq!(chosen(&[], known.clone(), "app").unwrap(), known);
        let asked = texts(&["web", "web"]);
        assert_eq!(chosen(&asked, known, "app").unwrap(), ["web"]);
    }

    #[test]
    fn a_wrong_name_gets_a_hint_and_the_list() {
        let error = chosen(&texts(&["wbe"]), texts(&["api", "web"]), "app").unwrap_err();
        assert_eq!(
            error.message,
            "there is no app `wbe`; did you mean `web`? the apps are: api, web"
        );
        let error = chosen(&texts(&["x"]), Vec::new(), "forward").unwrap_err();
        assert_eq!(
            error.message,
            "there is no forward `x`; the project has no forwards"
        );
    }
}
