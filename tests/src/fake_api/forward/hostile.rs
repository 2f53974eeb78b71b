//! A server that means harm.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};

use super::{Wire, frame};
use crate::fake_api::behaviour::Hostility;

/// Does what it does until the client goes.
pub(super) async fn run(wire: Box<dyn Wire>, hostility: Hostility) {
    let (mut reader, mut writer) = split(wire);
    let reading = async {
        let mut buffer = [0; 4096];
        while matches!(reader.read(&mut buffer).await, Ok(read) if read > 0) {}
    };
    let writing = async {
        // An error means that the client has gone.
        let _: io::Result<()> = write(&mut writer, hostility).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = reading => {}
        () = writing => {}
    }
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), hostility: Hostility) -> io::Result<()> {
    match hostility {
        Hostility::HugeLengths => {
            // SYN_REPLY and data, each with a length of 2^24 - 1, of which a little comes.
            writer
                .write_all(&[0x80, 3, 0, 2, 0, 0xff, 0xff, 0xff])
                .await?;
            writer.write_all(&[0; 1024]).await?;
            writer.flush().await
        }
        Hostility::UnknownIds => loop {
            for id in [0, 2, 4711, 0x7fff_ffff] {
                let frames = [
                    frame::data(id, b"who asked for this?", false),
                    frame::data(id, &[], true),
                    frame::reply(id, b"not even compressed"),
                    frame::reset(id),
                ];
                writer.write_all(&frames.concat()).await?;
            }
            writer.flush().await?;
            tokio::task::yield_now().await;
        },
        Hostility::EndlessControl => {
            let many = frame::ping(2).repeat(1024);
            loop {
                writer.write_all(&many).await?;
            }
        }
        Hostility::Garbage => {
            let bytes: Vec<u8> = (0..64 * 1024_u32)
                .map(|place| (place.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0] | 0x80)
                .collect();
            writer.write_all(&bytes).await?;
            writer.flush().await
        }
        Hostility::EndlessData => {
            let bytes = vec![b'x'; 32 * 1024];
            let piece = frame::data(1, &bytes, false);
            let other = frame::data(3, &bytes, false);
            loop {
                writer.write_all(&piece).await?;
                writer.write_all(&other).await?;
            }
        }
    }
}
