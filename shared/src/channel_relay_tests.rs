use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

struct Half(mpsc::UnboundedSender<Came>);

impl Half {
    fn send(&self, came: Came) -> Result<(), Gone> {
        self.0.send(came).map_err(|_| Gone)
    }
}

impl Sender for Half {
    async fn data(&self, bytes: Bytes) -> Result<(), Gone> {
        self.send(Came::Data(bytes))
    }

    async fn credit(&self, bytes: Bytes) -> Result<(), Gone> {
        self.send(Came::Credit(credit_of(&bytes).unwrap()))
    }

    async fn eof(&self) -> Result<(), Gone> {
        self.send(Came::Eof)
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        let _ = self.0.send(Came::Closed);
    }
}

struct Other(mpsc::UnboundedReceiver<Came>);

impl Receiver for Other {
    async fn next(&mut self) -> Came {
        self.0.recv().await.unwrap_or(Came::Lost)
    }
}

async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connecting = TcpStream::connect(listener.local_addr().unwrap());
    let (connected, accepted) = tokio::join!(connecting, listener.accept());
    (connected.unwrap(), accepted.unwrap().0)
}

/// A client and an application with two relays between them.
async fn through() -> (TcpStream, TcpStream, [JoinHandle<Ended>; 2]) {
    let ((client, near), (app, far)) = (connection().await, connection().await);
    let (there, from_there) = mpsc::unbounded_channel();
    let (back, from_back) = mpsc::unbounded_channel();
    let one =
        tokio::spawn(
            async move { relay(near, &Half(there), &mut Other(from_back), true, &()).await },
        );
    let other =
        tokio::spawn(
            async move { relay(far, &Half(back), &mut Other(from_there), true, &()).await },
        );
    (client, app, [one, other])
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it hangs")
}

#[tokio::test]
async fn either_end_may_end_its_direction_first_and_hear_the_other_for_as_long_as_it_likes() {
    for swap in [false, true] {
        let (client, app, relays) = through().await;
        let (mut first, mut second) = if swap { (app, client) } else { (client, app) };
        first.write_all(b"question").await.unwrap();
        first.shutdown().await.unwrap();
        let mut heard = Vec::new();
        soon(second.read_to_end(&mut heard)).await.unwrap();
        assert_eq!(heard, b"question");
        second.write_all(b"answer").await.unwrap();
        drop(second);
        heard.clear();
        soon(first.read_to_end(&mut heard)).await.unwrap();
        assert_eq!(heard, b"answer");
        for relay in relays {
            assert!(matches!(soon(relay).await.unwrap(), Ended::Complete));
        }
    }
}

#[tokio::test]
async fn megabytes_arrive_byte_by_byte_both_ways_at_once() {
    const LENGTH: usize = 9_000_001;
    let (client, app, _relays) = through().await;
    let bytes: Vec<u8> = (0..=250).cycle().take(LENGTH).collect();
    let talk = |stream: TcpStream, bytes: Vec<u8>| {
        tokio::spawn(async move {
            let (mut reader, mut writer) = stream.into_split();
            let wanted = bytes.clone();
            let writing = tokio::spawn(async move {
                writer.write_all(&bytes).await.unwrap();
                writer.shutdown().await.unwrap();
            });
            let mut heard = Vec::new();
            reader.read_to_end(&mut heard).await.unwrap();
            writing.await.unwrap();
            assert!(heard == wanted, "{} bytes of {LENGTH}", heard.len());
        })
    };
    let (one, other) = (talk(client, bytes.clone()), talk(app, bytes));
    soon(one).await.unwrap();
    soon(other).await.unwrap();
}

#[tokio::test]
async fn one_that_is_not_read_holds_up_its_own_sender_and_goes_on_when_it_is() {
    const LENGTH: u64 = 64 * 1024 * 1024;
    let ((mut client, near), (app, far)) = (connection().await, connection().await);
    let (there, mut from_there) = mpsc::unbounded_channel();
    let (back, from_back) = mpsc::unbounded_channel();
    let (on, passed_on) = mpsc::unbounded_channel();
    tokio::spawn(async move { relay(near, &Half(there), &mut Other(from_back), true, &()).await });
    tokio::spawn(async move { relay(far, &Half(back), &mut Other(passed_on), true, &()).await });
    // The tunnel: it takes whatever comes.
    let (told, mut passing) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(came) = from_there.recv().await {
            if let Came::Data(data) = &came {
                told.send(data.len() as u64).unwrap();
            }
            if on.send(came).is_err() {
                break;
            }
        }
    });
    let sending = tokio::spawn(async move {
        let piece = vec![7; 64 * 1024];
        for _ in 0..LENGTH / piece.len() as u64 {
            client.write_all(&piece).await.unwrap();
        }
    });
    // More than the credit is never under way, but for what the system's buffers at the far end have taken.
    let mut under_way = 0;
    while let Ok(Some(bytes)) = timeout(Duration::from_millis(500), passing.recv()).await {
        under_way += bytes;
    }
    assert!(under_way < LENGTH / 2, "{under_way} bytes");
    let mut app = app;
    let mut buffer = vec![0; 256 * 1024];
    let mut taken = 0;
    while taken < LENGTH {
        taken += soon(app.read(&mut buffer)).await.unwrap() as u64;
    }
    soon(sending).await.unwrap();
}

#[tokio::test]
async fn what_was_not_complete_is_reset() {
    let (mut client, app, _relays) = through().await;
    client.write_all(b"x").await.unwrap();
    let mut app = app;
    soon(app.read_exact(&mut [0])).await.unwrap();
    app.set_zero_linger().unwrap();
    drop(app);
    let error = soon(client.read(&mut [0])).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}
