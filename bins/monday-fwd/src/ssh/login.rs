//! Shows a server who we are.

use std::time::Duration;

use russh::MethodKind;
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::client::{Client, Heard};
use super::config::{Agent, Settings};
use super::error::{ConnectError, Step};
use super::identity::{Identities, Identity};

/// How long the agent may take to say what it holds. It is on this machine.
const AGENT_ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// How long logging in may take in all. A person may have to touch a security key or confirm the use of one.
const LOGIN_WITHIN: Duration = Duration::from_secs(60);

/// How many keys are offered at most: servers count them, and six is what sshd allows by default (`MaxAuthTries`).
const MOST_OFFERS: usize = 6;

type AgentConnection = AgentClient<UnixStream>;

/// Logs in.
///
/// # Errors
/// What was offered, what the server accepts, and what to do.
pub(super) async fn log_in(
    handle: &mut Handle<Client>,
    settings: &Settings,
    server: &str,
    heard: &Heard,
) -> Result<(), ConnectError> {
    match timeout(LOGIN_WITHIN, try_all(handle, settings, server, heard)).await {
        Ok(done) => done,
        Err(_) => Err(ConnectError::temporary(
            Step::Authenticate,
            server,
            format!("it was not done within {} s", LOGIN_WITHIN.as_secs()),
        )),
    }
}

async fn try_all(
    handle: &mut Handle<Client>,
    settings: &Settings,
    server: &str,
    heard: &Heard,
) -> Result<(), ConnectError> {
    let mut problems = Vec::new();
    let (mut agent, held) = match ask_agent(handle, settings).await {
        Ok(Some((agent, held))) => (Some(agent), held),
        Ok(None) => (None, Vec::new()),
        Err(problem) => {
            problems.push(problem);
            (None, Vec::new())
        }
    };
    let identities = if settings.public_keys {
        Identities::gather(settings, held)
    } else {
        problems.push("PubkeyAuthentication is no, and nothing else is known here".to_owned());
        Identities::default()
    };
    problems.extend(identities.unusable);
    let left_out = identities.list.len().saturating_sub(MOST_OFFERS);
    let mut offered = Vec::new();
    let mut accepts = None;
    let mut rsa = None;
    for identity in identities.list.into_iter().take(MOST_OFFERS) {
        let answer = offer(handle, &settings.user, &identity, agent.as_mut(), &mut rsa).await;
        if handle.is_closed() {
            offered.push(identity.name());
            heard.ended.cancelled().await;
            let reason = heard.end().unwrap_or_default();
            return Err(closed(server, &offered, &reason));
        }
        match answer {
            Ok(AuthResult::Success) => return Ok(()),
            Ok(AuthResult::Failure {
                remaining_methods,
                partial_success,
            }) => {
                offered.push(identity.name());
                let goes_on = remaining_methods.contains(&MethodKind::PublicKey);
                let names: Vec<&str> = remaining_methods.iter().map(Into::into).collect();
                accepts = Some((names.join(", "), partial_success));
                if !goes_on {
                    break;
                }
            }
            Err(problem) => problems.push(format!("{}: {problem}", identity.name())),
        }
    }
    if accepts.is_none() {
        // Nothing could be offered: some servers want nothing, the others say what they want.
        match handle.authenticate_none(&settings.user).await {
            Ok(AuthResult::Success) => return Ok(()),
            Ok(AuthResult::Failure {
                remaining_methods, ..
            }) => {
                let names: Vec<&str> = remaining_methods.iter().map(Into::into).collect();
                accepts = Some((names.join(", "), false));
            }
            Err(error) => return Err(ConnectError::temporary(Step::Authenticate, server, error)),
        }
    }
    Err(ConnectError::permanent(
        Step::Authenticate,
        server,
        refused(&offered, &problems, accepts, left_out),
    ))
}

/// Why the server let nobody in.
fn refused(
    offered: &[String],
    problems: &[String],
    accepts: Option<(String, bool)>,
    left_out: usize,
) -> String {
    let mut text = if offered.is_empty() {
        "there is no key to offer".to_owned()
    } else {
        format!("it refused {}", offered.join(", "))
    };
    if left_out > 0 {
        text = format!(
            "{text}; {left_out} more keys were not offered, for servers allow about {MOST_OFFERS}"
        );
    }
    for problem in problems {
        text += "; ";
        text += problem;
    }
    let (accepts, partial) = accepts.unwrap_or_default();
    if partial {
        text += "; a key was accepted, but the server wants more than that";
    }
    if !accepts.is_empty() {
        text = format!("{text}; it accepts {accepts}");
    }
    if !accepts.is_empty() && !accepts.contains("publickey") {
        return text + ": only keys are offered here, for nobody can be asked for a password";
    }
    text + ": add the public key to ~/.ssh/authorized_keys there, check the user, or name the key with -i (with IdentitiesOnly=yes if an agent holds many)"
}

/// The server has closed the connection while we were offering keys.
fn closed(server: &str, offered: &[String], reason: &str) -> ConnectError {
    let too_many = reason
        .to_ascii_lowercase()
        .contains("too many authentication");
    let said = if reason.is_empty() {
        "it closed the connection".to_owned()
    } else {
        format!("it closed the connection ({reason})")
    };
    if too_many {
        return ConnectError::permanent(
            Step::Authenticate,
            server,
            format!(
                "{said} after {}; it accepts no more tries (MaxAuthTries): name the right key with -i and IdentitiesOnly=yes, so that it is the first one",
                offered.join(", ")
            ),
        );
    }
    ConnectError::temporary(
        Step::Authenticate,
        server,
        format!("{said} after {}", offered.join(", ")),
    )
}

/// Connects to the agent and asks what it holds. Nothing: there is none to ask.
async fn ask_agent(
    handle: &Handle<Client>,
    settings: &Settings,
) -> Result<Option<(AgentConnection, Vec<AgentIdentity>)>, String> {
    let Agent::Socket(path) = &settings.agent else {
        return Ok(None);
    };
    let asked = async {
        let stream = UnixStream::connect(path)
            .await
            .map_err(|error| error.to_string())?;
        let mut agent = AgentClient::connect(stream);
        if let Some(binding) = handle.agent_session_binding() {
            // Older agents do not know it, and need nothing of it.
            if let Err(error) = agent.bind_session(binding, false).await {
                tracing::debug!(%error, "the agent takes no session binding");
            }
        }
        let held = agent
            .request_identities()
            .await
            .map_err(|error| error.to_string())?;
        Ok::<_, String>((agent, held))
    };
    match timeout(AGENT_ANSWERS_WITHIN, asked).await {
        Ok(Ok(agent)) => Ok(Some(agent)),
        Ok(Err(error)) => Err(format!(
            "the agent at {} cannot be asked: {error}",
            path.display()
        )),
        Err(_) => Err(format!("the agent at {} does not answer", path.display())),
    }
}

async fn offer(
    handle: &mut Handle<Client>,
    user: &str,
    identity: &Identity,
    agent: Option<&mut AgentConnection>,
    rsa: &mut Option<HashAlg>,
) -> Result<AuthResult, String> {
    let text = |error: russh::Error| error.to_string();
    let algorithm = match identity {
        Identity::Agent(held) => held.public_key().algorithm(),
        Identity::File { key, .. } => key.algorithm(),
    };
    let hash = match algorithm {
        Algorithm::Rsa { .. } => rsa_hash(handle, rsa).await.map_err(text)?,
        _ => None,
    };
    match (identity, agent) {
        (Identity::Agent(AgentIdentity::PublicKey { key, .. }), Some(agent)) => handle
            .authenticate_publickey_with(user, key.clone(), hash, agent)
            .await
            .map_err(|error| error.to_string()),
        (Identity::Agent(AgentIdentity::Certificate { certificate, .. }), Some(agent)) => handle
            .authenticate_certificate_with(user, certificate.clone(), hash, agent)
            .await
            .map_err(|error| error.to_string()),
        (Identity::Agent(_), None) => Err("the agent is gone".to_owned()),
        (
            Identity::File {
                key,
                certificate: Some(certificate),
                ..
            },
            _,
        ) => handle
            .authenticate_openssh_cert(user, key.clone(), certificate.clone())
            .await
            .map_err(text),
        (Identity::File { key, .. }, _) => handle
            .authenticate_publickey(user, PrivateKeyWithHashAlg::new(key.clone(), hash))
            .await
            .map_err(text),
    }
}

/// Which hash signatures of RSA have: the best that the server knows, and never SHA-1 unless it knows nothing else. It
/// is asked once.
async fn rsa_hash(
    handle: &Handle<Client>,
    known: &mut Option<HashAlg>,
) -> Result<Option<HashAlg>, russh::Error> {
    if known.is_none() {
        // One that does not say, or knows only SHA-1, may refuse: better its refusal than SHA-1.
        let best = handle.best_supported_rsa_hash().await?.flatten();
        *known = Some(best.unwrap_or(HashAlg::Sha512));
    }
    Ok(*known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_what_was_offered_what_is_accepted_and_what_to_do() {
        let text = refused(
            &["/k".to_owned()],
            &["/e is encrypted".to_owned()],
            Some(("publickey".to_owned(), false)),
            2,
        );
        for part in [
            "refused /k",
            "2 more keys",
            "/e is encrypted",
            "accepts publickey",
            "authorized_keys",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let text = refused(&[], &[], Some(("password".to_owned(), false)), 0);
        assert!(
            text.contains("no key to offer") && text.contains("nobody can be asked"),
            "{text}"
        );
    }

    #[test]
    fn too_many_tries_is_for_a_person_to_mend_and_a_lost_connection_is_not() {
        assert!(closed("s", &[], "Too many authentication failures").permanent);
        assert!(!closed("s", &[], "").permanent);
    }
}
