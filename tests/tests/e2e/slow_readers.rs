//! Whoever looks at a project and does not keep up, is stopped or is killed holds up nobody.

use std::os::unix::net::UnixStream;

use std::io::Write as _;

use monday_tests::process::Process;
use monday_tests::wait::PATIENCE;
use monday_tests::world::World;
use nix::sys::signal::Signal;

use crate::project::{await_line, start, status};

/// More than all queues on the way hold together.
const LINES: usize = 400_000;

#[test]
fn neither_a_full_pipe_nor_a_stopped_terminal_nor_a_killed_client_holds_up_an_app() {
    let world = World::new();
    let yaml = format!(
        "projects: [{{name: shop, local: [{{name: loud, run: {{command: 'while [ ! -e go ]; do sleep 0.02; done; yes \"a line that is as long as lines of logs are, more or less\" | head -n {LINES}; echo all is said; exec sleep 1000'}}}}]}}]\n"
    );
    let (mut project, _) = start(&world, &yaml);
    // A reader whose own reader takes nothing: its pipe gets full.
    let full = world.start(
        "sh",
        [
            "-c",
            "monday-supervisor logs -f shop | sh -c 'while [ ! -e stop ]; do sleep 0.1; done'",
        ],
    );
    // Two that are stopped in the middle.
    let stopped: Vec<Process> = [["logs", "-f"], ["attach", "--plain"]]
        .into_iter()
        .map(|words| world.start("monday-supervisor", words))
        .collect();
    // One that subscribes and is gone.
    let killed = world.start("monday-supervisor", ["attach"]);
    // One that subscribes to everything and never reads.
    let mut silent = UnixStream::connect(world.supervisor_socket("shop")).unwrap();
    silent
        .write_all(b"{\"id\":1,\"method\":\"subscribe\",\"params\":{\"bulk\":\"lossy\"}}\n")
        .unwrap();
    for process in &stopped {
        process.signal(Signal::SIGSTOP);
    }
    killed.signal(Signal::SIGKILL);
    world.write("home/go", "");
    await_line(&mut project, "loud", "all is said");
    assert_eq!(status(&world, "shop")["project"], "shop");
    for process in &stopped {
        process.signal(Signal::SIGCONT);
    }
    world.write("home/stop", "");
    drop((full, stopped, killed, silent));
    project.signal(Signal::SIGTERM);
    assert_eq!(project.wait(), 143);
    drop(project);
    world.assert_no_survivors(PATIENCE);
}
