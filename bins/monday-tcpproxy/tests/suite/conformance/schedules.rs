//! Random conversations, compared byte by byte.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::relays::{Deviation, Relayed};
use crate::harness::noise;

/// How many conversations each way has.
const CASES: u32 = 60;

/// What one side does, in order: write so many bytes, after so many milliseconds; then end its stream.
type Script = Vec<(usize, u8)>;

fn script() -> impl Strategy<Value = Script> {
    let size = prop_oneof![
        4 => 1_usize..3,
        4 => 1_usize..5_000,
        2 => 30_000_usize..300_000,
        1 => 500_000_usize..3_000_000,
    ];
    prop::collection::vec((size, 0_u8..4), 0..6)
}

fn speak(mut stream: TcpStream, script: &Script, bytes: &[u8]) -> io::Result<()> {
    let mut at = 0;
    for (len, pause) in script {
        std::thread::sleep(Duration::from_millis(u64::from(*pause)));
        stream.write_all(&bytes[at..at + len])?;
        at += len;
    }
    stream.shutdown(Shutdown::Write)
}

/// What was heard, and whether it ended as it should.
fn listen(mut stream: TcpStream, slow: bool) -> (Vec<u8>, io::Result<()>) {
    let mut heard = Vec::new();
    let mut buffer = vec![0; 50_000];
    loop {
        if slow {
            std::thread::sleep(Duration::from_micros(300));
        }
        match stream.read(&mut buffer) {
            Ok(0) => return (heard, Ok(())),
            Ok(len) => heard.extend_from_slice(&buffer[..len]),
            Err(error) => return (heard, Err(error)),
        }
    }
}

fn converse(relayed: &Relayed, scripts: &[Script; 2], slow: bool) {
    let (client, peer) = relayed.connection();
    let sent = scripts
        .clone()
        .map(|script| noise(script.iter().map(|(len, _)| len).sum()));
    std::thread::scope(|scope| {
        let ends = [(&client, &peer), (&peer, &client)];
        let heard: Vec<_> = (0..2)
            .map(|way| {
                let (from, to) = ends[way];
                let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                let (script, bytes) = (&scripts[way], &sent[way]);
                let spoken = scope.spawn(move || speak(from, script, bytes));
                (spoken, scope.spawn(move || listen(to, slow && way == 1)))
            })
            .collect();
        let ways: Vec<_> = heard
            .into_iter()
            .map(|(spoken, heard)| (spoken.join().unwrap(), heard.join().unwrap()))
            .collect();
        let broke = ways
            .iter()
            .any(|(spoken, (_, ended))| spoken.is_err() || ended.is_err());
        let may_break = relayed.relay.has(Deviation::MayResetAtTheEnd);
        for ((spoken, (heard, ended)), sent) in ways.into_iter().zip(&sent) {
            if broke && may_break {
                assert!(sent.starts_with(&heard), "the bytes differ");
                continue;
            }
            spoken.unwrap();
            ended.unwrap();
            assert!(heard == *sent, "the bytes differ");
        }
    });
}

pub(super) fn random_conversations_arrive_whole(relayed: &mut Relayed) {
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let conversations = (script(), script(), any::<bool>());
    TestRunner::new(config)
        .run(&conversations, |(up, down, slow)| {
            converse(relayed, &[up, down], slow);
            Ok(())
        })
        .unwrap();
}
