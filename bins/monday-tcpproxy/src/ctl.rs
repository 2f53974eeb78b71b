//! `monday-tcpproxy ctl`: asks a running one, so that a script needs no other tool for its control socket.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use monday_shared::life::exit;
use monday_shared::protocol::common::{Hello, Shutdown};
use monday_shared::protocol::error::{ErrorKind, RpcError};
use monday_shared::protocol::method::Call;
use monday_shared::protocol::tcpproxy::{
    Apply, Clear, Close, Drain, Fault, List, NAME, Open, Reset, Status, Wait,
};
use monday_shared::rpc::client::{Client, ClientError};
use monday_shared::rpc::service::params;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

const EXAMPLES: &str = "\
Methods: open, apply, close, list, wait, fault, clear, reset, drain, status, hello, shutdown

Examples:
  monday-tcpproxy ctl /tmp/proxy.sock open id=db listen=127.0.0.1:0 target=db.internal:5432
  monday-tcpproxy ctl /tmp/proxy.sock wait until=target timeout=10s
  monday-tcpproxy ctl /tmp/proxy.sock wait until=connections count:=2 ids=db
  monday-tcpproxy ctl /tmp/proxy.sock fault id=db latency=100ms jitter=20ms direction=down
  monday-tcpproxy ctl /tmp/proxy.sock fault id=db reset=true expires=5s
  monday-tcpproxy ctl /tmp/proxy.sock clear
  monday-tcpproxy ctl /tmp/proxy.sock drain timeout=10s
  monday-tcpproxy ctl /tmp/proxy.sock close ids:='[\"db\",\"web\"]'
  monday-tcpproxy ctl /tmp/proxy.sock shutdown

Exits with 0 and the result as JSON on standard output, with 124 if something did not hold in
time, with 2 if the question makes no sense and with 1 for everything else.";

/// Asks a running monday-tcpproxy by its control socket
#[derive(Clone, Debug, Parser)]
#[command(
    name = "monday-tcpproxy ctl",
    version,
    after_help = EXAMPLES,
    override_usage = "monday-tcpproxy ctl SOCKET METHOD [PARAMETER]..."
)]
pub struct Ctl {
    /// The control socket, as it was given to --control
    socket: PathBuf,

    /// What to ask
    method: String,

    /// The parameters: NAME=TEXT, or NAME:=JSON for a number or a list
    #[arg(value_name = "PARAMETER", value_parser = read_parameter)]
    parameters: Vec<(String, Value)>,
}

/// Reads `NAME=TEXT` or `NAME:=JSON`.
fn read_parameter(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("write NAME=TEXT, or NAME:=JSON for a number or a list")?;
    match name.strip_suffix(':') {
        None => Ok((name.to_owned(), Value::from(value))),
        Some(name) => match serde_json::from_str(value) {
            Ok(value) => Ok((name.to_owned(), value)),
            Err(error) => Err(format!("`{value}` is not JSON: {error}")),
        },
    }
}

impl Ctl {
    /// Asks, prints the answer and returns the status to exit with.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return complain(&error.to_string(), exit::FAILED),
        };
        match runtime.block_on(self.ask()) {
            Ok(answer) => match writeln!(std::io::stdout(), "{answer}") {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => complain(&format!("cannot print the result: {error}"), exit::FAILED),
            },
            Err(error) => complain(&error.to_string(), exit_code(&error)),
        }
    }

    async fn ask(self) -> Result<Value, ClientError> {
        let given = Value::Object(self.parameters.into_iter().collect::<Map<_, _>>());
        let question = Question {
            socket: self.socket,
            given,
        };
        match self.method.as_str() {
            Open::METHOD => question.ask::<Open>().await,
            Apply::METHOD => question.ask::<Apply>().await,
            Close::METHOD => question.ask::<Close>().await,
            List::METHOD => question.ask::<List>().await,
            Wait::METHOD => question.ask::<Wait>().await,
            Fault::METHOD => question.ask::<Fault>().await,
            Clear::METHOD => question.ask::<Clear>().await,
            Reset::METHOD => question.ask::<Reset>().await,
            Drain::METHOD => question.ask::<Drain>().await,
            Status::METHOD => question.ask::<Status>().await,
            Hello::METHOD => question.ask::<Hello>().await,
            Shutdown::METHOD => question.ask::<Shutdown>().await,
            unknown => Err(RpcError::unknown_method(unknown, NAME).into()),
        }
    }
}

struct Question {
    socket: PathBuf,
    given: Value,
}

impl Question {
    /// Reads the parameters before it connects: a mistake is named whether anybody listens or not.
    async fn ask<C>(self) -> Result<Value, ClientError>
    where
        C: Call + DeserializeOwned,
        C::Reply: Serialize,
    {
        let call: C = params(C::METHOD, self.given)?;
        let reply = Client::connect(&self.socket).await?.call(&call).await?;
        Ok(monday_shared::rpc::service::reply(&reply)?)
    }
}

fn exit_code(error: &ClientError) -> u8 {
    match error {
        ClientError::Refused(refused) => match refused.data.kind {
            ErrorKind::Timeout => exit::TIMED_OUT,
            ErrorKind::InvalidParams | ErrorKind::UnknownMethod => exit::USAGE,
            _ => exit::FAILED,
        },
        _ => exit::FAILED,
    }
}

fn complain(what: &str, code: u8) -> ExitCode {
    // Nobody can be told that standard error is closed.
    let _ = writeln!(std::io::stderr(), "monday-tcpproxy ctl: {what}");
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;
    use serde_json::json;

    #[test]
    fn a_parameter_is_a_text_unless_it_says_that_it_is_json() {
        assert_eq!(read_parameter("a=1=2"), Ok(("a".into(), json!("1=2"))));
        assert_eq!(read_parameter("a:=1"), Ok(("a".into(), json!(1))));
        assert_eq!(
            read_parameter(r#"ids:=["a"]"#),
            Ok(("ids".into(), json!(["a"])))
        );
        assert!(read_parameter("a:=x").unwrap_err().contains("not JSON"));
        assert!(read_parameter("a").unwrap_err().contains("NAME=TEXT"));
    }

    #[test]
    fn the_command_line_is_consistent() {
        Ctl::command().debug_assert();
    }
}
