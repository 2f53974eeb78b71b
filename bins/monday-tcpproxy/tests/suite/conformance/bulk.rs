//! Much data, little data, and readers of different speed.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;

use super::relays::Relayed;
use crate::harness::{assert_receives, fill, noise, pattern};

pub(super) fn single_bytes_pass_one_by_one(relayed: &mut Relayed) {
    let (mut client, mut target) = relayed.connection();
    for byte in 0..=255 {
        one_byte(&mut client, &mut target, byte);
        one_byte(&mut target, &mut client, byte);
    }
    // And many at once without waiting for each other.
    client.set_nodelay(true).unwrap();
    let writing = thread::spawn(move || {
        for place in 0..10_000 {
            client.write_all(&[pattern(place)]).unwrap();
        }
    });
    let mut received = Vec::new();
    target.read_to_end(&mut received).unwrap();
    writing.join().unwrap();
    assert_eq!(received, (0..10_000).map(pattern).collect::<Vec<u8>>());
}

fn one_byte(from: &mut TcpStream, to: &mut TcpStream, byte: u8) {
    from.write_all(&[byte]).unwrap();
    let mut got = [0];
    to.read_exact(&mut got).unwrap();
    assert_eq!(got, [byte]);
}

pub(super) fn sixty_four_mebibytes_pass_each_way_at_once(relayed: &mut Relayed) {
    let (client, target) = relayed.connection();
    let data = Arc::new(noise(64 << 20));
    let ends: Vec<_> = [client, target]
        .into_iter()
        .flat_map(|stream| [(stream.try_clone().unwrap(), true), (stream, false)])
        .map(|(mut stream, writes)| {
            let data = Arc::clone(&data);
            thread::spawn(move || {
                if writes {
                    // In one write, as large as it is.
                    stream.write_all(&data).unwrap();
                    stream.shutdown(Shutdown::Write).unwrap();
                } else {
                    assert_receives(&mut stream, &data);
                }
            })
        })
        .collect();
    for end in ends {
        end.join().unwrap();
    }
}

pub(super) fn messages_of_every_size_pass(relayed: &mut Relayed) {
    let (mut client, mut target) = relayed.connection();
    let echoing = thread::spawn(move || {
        let mut reader = target.try_clone().unwrap();
        std::io::copy(&mut reader, &mut target).unwrap();
    });
    for exponent in 0..22 {
        for len in [
            (1_usize << exponent) - 1,
            1 << exponent,
            (1 << exponent) + 1,
        ] {
            let message = noise(len);
            let writing = {
                let (mut client, message) = (client.try_clone().unwrap(), message.clone());
                thread::spawn(move || client.write_all(&message).unwrap())
            };
            let mut answer = vec![0; len];
            client.read_exact(&mut answer).unwrap();
            writing.join().unwrap();
            assert!(answer == message, "{len} bytes");
        }
    }
    drop(client);
    echoing.join().unwrap();
}

pub(super) fn a_slow_reader_holds_up_its_writer_and_nobody_else(relayed: &mut Relayed) {
    let (slow, mut reads_late) = relayed.connection();
    let sent = fill(&slow);

    let (mut fast, mut reads) = relayed.connection();
    let data = noise(16 << 20);
    let sending = data.clone();
    let writing = thread::spawn(move || fast.write_all(&sending).unwrap());
    assert_receives(&mut reads, &data);
    writing.join().unwrap();

    slow.shutdown(Shutdown::Write).unwrap();
    let mut received = Vec::new();
    reads_late.read_to_end(&mut received).unwrap();
    assert_eq!(received.len(), sent);
    let whole = received.iter().enumerate();
    assert!(whole.into_iter().all(|(at, byte)| *byte == pattern(at)));
}
