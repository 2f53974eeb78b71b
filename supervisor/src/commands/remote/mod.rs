//! The commands that talk to a project that runs: each says over the control socket what any script could say.

pub mod act;
pub mod attach;
pub mod find;
pub mod logs;
pub mod status;
pub mod wait;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use monday_shared::life::args::OutputFormat;
use monday_shared::life::exit;
use monday_shared::protocol::error::ErrorKind;
use monday_shared::protocol::method::Call;
use monday_shared::protocol::run::Phase;
use monday_shared::protocol::supervisor::{AppStatus, Apps};
use monday_shared::rpc::client::ClientError;
use serde::Serialize;
use serde_json::{Value, json};

use super::{OutputArgs, answer_json, completions, failed};
use find::{FindError, Found};

/// Which project, and what of it.
#[derive(Clone, Debug, Args)]
pub struct TargetArgs {
    /// The project, and apps or forwards of it
    ///
    /// The first word is the project if one of that name runs. It may be left out while only one project runs.
    #[arg(value_name = "PROJECT|NAME", add = completions::things())]
    pub words: Vec<String>,

    /// How to reach it.
    #[command(flatten)]
    pub reach: ReachArgs,
}

/// How a running project is reached.
#[derive(Clone, Debug, Default, Args)]
pub struct ReachArgs {
    /// Ask the supervisor behind this control socket, wherever that is
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,

    /// How to answer.
    #[command(flatten)]
    pub output: OutputArgs,
}

impl ReachArgs {
    /// Whether programs read the answer.
    fn json(&self) -> bool {
        self.output.output == OutputFormat::Json
    }
}

/// Why a command could not be done.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// There is no such project, or it is not clear which is meant.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The supervisor refused, or is gone.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl RemoteError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Client(ClientError::Refused(error)) if error.data.kind == ErrorKind::Timeout => {
                exit::TIMED_OUT
            }
            Self::Client(ClientError::Refused(error))
                if matches!(
                    error.data.kind,
                    ErrorKind::InvalidParams | ErrorKind::InvalidConfiguration
                ) =>
            {
                exit::USAGE
            }
            _ => exit::FAILED,
        }
    }

    fn as_json(&self) -> Value {
        match self {
            Self::Client(ClientError::Refused(error)) => json!({"error": error}),
            other => json!({"error": {"message": other.to_string()}}),
        }
    }
}

/// Asks the running project one thing and shows the answer: as JSON it is the reply, for people what `show` makes of it.
pub(super) fn ask<C>(
    target: &TargetArgs,
    call: impl FnOnce(Vec<String>) -> C,
    show: impl FnOnce(&C::Reply) -> String,
) -> ExitCode
where
    C: Call,
    C::Reply: Serialize,
{
    talk(&target.reach, async {
        let Found { client, names, .. } = find::find(target).await?;
        let reply = client.call(&call(names)).await?;
        Ok(shown(&target.reach, &reply, show))
    })
}

/// The same for what starts apps: one that has failed is a failure of the command.
pub(super) fn ask_to_start<C>(target: &TargetArgs, call: impl FnOnce(Vec<String>) -> C) -> ExitCode
where
    C: Call<Reply = Apps>,
{
    talk(&target.reach, async {
        let Found { client, names, .. } = find::find(target).await?;
        let reply = client.call(&call(names)).await?;
        let told = shown(&target.reach, &reply, act::apps);
        let is_failed = |app: &AppStatus| app.state.phase == Phase::Failed;
        Ok(if reply.apps.iter().any(is_failed) {
            ExitCode::from(exit::FAILED)
        } else {
            told
        })
    })
}

/// The reply in the form that was asked for.
fn shown<R: Serialize>(reach: &ReachArgs, reply: &R, show: impl FnOnce(&R) -> String) -> ExitCode {
    if reach.json() {
        return match serde_json::to_value(reply) {
            Ok(value) => answer_json(&value),
            Err(error) => failed(&format!("the answer cannot be written as JSON: {error}")),
        };
    }
    super::answer(&show(reply))
}

/// Runs a conversation with a supervisor to its exit code.
fn talk(
    reach: &ReachArgs,
    conversation: impl Future<Output = Result<ExitCode, RemoteError>>,
) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.to_string()),
    };
    match runtime.block_on(conversation) {
        Ok(code) => code,
        Err(error) => {
            failed(&error.to_string());
            if reach.json() {
                answer_json(&error.as_json());
            }
            ExitCode::from(error.exit_code())
        }
    }
}
