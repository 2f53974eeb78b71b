//! What happens in an example of the reference besides what the client sends: the lines that begin with `#`.

use monday_tests::control::Control;
use serde_json::json;

use crate::protocol::Stage;

/// Makes it happen.
pub(crate) fn happen(stage: &mut Stage, what: &str) {
    match what {
        "this client reads nothing more until the command has ended" => {
            let mut other = Control::connect(&stage.world.home().join("run.sock"));
            let status = other
                .call("subscribe", &json!({"bulk": "skip"}))
                .expect("everybody may subscribe");
            if status["status"]["phase"] == "running" {
                other.event_where("the end of the command", |event| event["phase"] == "exited");
            }
        }
        "another program writes the hosts file without our lines" => {
            stage
                .world
                .write("home/hosts", "127.0.0.1\tlocalhost\n# mine\n");
        }
        unknown => panic!("PROTOCOL.md: nobody knows how to make this happen: {unknown}"),
    }
}
