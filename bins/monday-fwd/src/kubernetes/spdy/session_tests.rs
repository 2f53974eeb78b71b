//! A session against a server that the test plays, byte by byte.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;

fn session() -> (Session, DuplexStream) {
    let (near, far) = duplex(1024 * 1024);
    (Session::new(Box::new(near)), far)
}

async fn sent(session: &mut Session) {
    poll_fn(|cx| session.poll_send(cx)).await.unwrap();
}

async fn received(session: &mut Session) -> Result<(), SessionError> {
    poll_fn(|cx| session.poll_receive(cx)).await
}

/// What the session has written, as frames.
async fn frames(far: &mut DuplexStream, length: usize) -> Vec<Frame> {
    let mut bytes = vec![0; length];
    far.read_exact(&mut bytes).await.unwrap();
    let (mut parser, mut at, mut frames) = (Parser::default(), 0, Vec::new());
    while let Some(frame) = parser.next(&bytes, &mut at).unwrap() {
        frames.push(frame);
    }
    frames
}

#[tokio::test]
async fn a_pair_is_opened_and_spoken_on_without_waiting_for_a_reply() {
    let (mut session, mut far) = session();
    session.open(8080);
    let mut client: &[u8] = b"hello";
    poll_fn(|cx| session.poll_read_from(cx, &mut client).map_ok(<[u8]>::len))
        .await
        .unwrap();
    let length = session.output.len();
    assert!(
        Range::is_empty(&session.uploading),
        "all of it in one piece"
    );
    sent(&mut session).await;
    let frames = frames(&mut far, length).await;
    let kinds: Vec<_> = frames
        .iter()
        .map(|frame| match frame {
            Frame::Data { stream, at } => (*stream, at.len()),
            Frame::Open { stream } | Frame::End { stream } => (*stream, 0),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, [(1, 0), (3, 0), (1, 0), (3, 5)]);
}

#[tokio::test]
async fn what_a_client_said_before_it_went_goes_out_before_the_pair_is_given_up() {
    let (mut session, mut far) = session();
    session.open(1);
    sent(&mut session).await;
    let opening = {
        let mut bytes = vec![0; 4096];
        far.read(&mut bytes).await.unwrap()
    };
    assert!(opening > 0);
    let mut client: &[u8] = b"last words";
    poll_fn(|cx| session.poll_read_from(cx, &mut client).map_ok(<[u8]>::len))
        .await
        .unwrap();
    session.give_up();
    sent(&mut session).await;
    let frames = frames(&mut far, 8 + 10 + 16 + 16).await;
    assert!(matches!(frames[0], Frame::Data { stream: 3, .. }));
    assert_eq!(
        frames[1..],
        [Frame::Reset { stream: 3 }, Frame::Reset { stream: 1 }]
    );
}

#[tokio::test]
async fn five_answers_prove_it_and_four_do_not() {
    let (mut session, mut far) = session();
    let serve = |answers: usize| async move {
        let mut pings = vec![0; 5 * 12];
        far.read_exact(&mut pings).await.unwrap();
        far.write_all(&pings[..answers * 12]).await.unwrap();
        far
    };
    let (proof, far) = tokio::join!(session.prove(), serve(5));
    proof.unwrap();
    let mut far = far;
    let mut pings = vec![0; 5 * 12];
    let four = tokio::time::timeout(Duration::from_millis(50), async {
        let (proof, ()) = tokio::join!(session.prove(), async {
            far.read_exact(&mut pings).await.unwrap();
            // The same answer twice is one answer.
            far.write_all(&pings[..4 * 12]).await.unwrap();
            far.write_all(&pings[..12]).await.unwrap();
        });
        proof
    });
    assert!(four.await.is_err());
}

#[tokio::test]
async fn bytes_of_a_pair_that_was_given_up_are_nobodys() {
    let (mut session, mut far) = session();
    session.open(1);
    session.give_up();
    session.open(1);
    far.write_all(&frame::data(3, 0, 4)).await.unwrap();
    far.write_all(b"late").await.unwrap();
    received(&mut session).await.unwrap();
    assert!(!session.has_pieces());
    far.write_all(&frame::data(7, FLAG_FIN, 3)).await.unwrap();
    far.write_all(b"new").await.unwrap();
    received(&mut session).await.unwrap();
    let mut got = Vec::new();
    poll_fn(|cx| session.poll_write_to(cx, &mut got))
        .await
        .unwrap();
    assert_eq!(got, b"new");
    assert!(session.pair().unwrap().data_ended);
}

#[tokio::test]
async fn a_reason_is_kept_and_no_more_of_it_than_is_useful() {
    let (mut session, mut far) = session();
    session.open(9);
    far.write_all(&frame::data(1, FLAG_FIN, 100_000))
        .await
        .unwrap();
    far.write_all(&vec![b'x'; 100_000]).await.unwrap();
    received(&mut session).await.unwrap();
    let pair = session.pair().unwrap();
    assert!(pair.error_ended);
    assert_eq!(pair.reason().unwrap().len(), REASON_BYTES);
}

#[tokio::test]
async fn a_server_that_only_asks_is_not_answered_without_end() {
    let (mut session, mut far) = session();
    let mut pings = Vec::new();
    for id in 0..20_000 {
        frame::ping(&mut pings, 2 * id);
    }
    far.write_all(&pings).await.unwrap();
    for _ in 0..2 {
        received(&mut session).await.unwrap();
    }
    assert!(session.output.len() <= INPUT_BYTES + 12);
}

#[tokio::test]
async fn a_server_that_opens_streams_or_is_gone_ends_the_session() {
    let (mut session, mut far) = session();
    let mut open = Vec::new();
    frame::syn_stream(&mut open, &mut HeaderWriter::default(), 2, &[]);
    far.write_all(&open).await.unwrap();
    assert!(matches!(
        received(&mut session).await,
        Err(SessionError::Nonsense(Nonsense::ServerStream(2)))
    ));
    let (mut session, far) = self::session();
    assert!(session.is_alive());
    drop(far);
    assert!(!session.is_alive());
}
