use std::net::{Ipv4Addr, TcpListener};

use super::*;
use crate::socket::ControlSocket;

const IP: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A helper that answers one client with what `bind` gives.
fn helper<D: AsFd + Send + 'static>(
    folder: &tempfile::TempDir,
    bind: impl FnOnce(Bind) -> Result<D, RpcError> + Send + 'static,
) -> PathBuf {
    let path = socket_beside(&folder.path().join("c"));
    let socket = ControlSocket::bind(&path).unwrap();
    tokio::spawn(async move {
        let stream = socket.accept().await.unwrap();
        let _ = serve(&stream, async |wanted| bind(wanted)).await;
    });
    path
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((IP, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test]
async fn a_bound_socket_comes_over_and_clients_reach_it_once_it_listens() {
    let folder = tempfile::tempdir().unwrap();
    let path = helper(&folder, |Bind { ip, port }| {
        Ok(TcpListener::bind((ip, port)).unwrap())
    });
    let port = free_port();
    let bound = request(&path, IP, port).await.unwrap();
    let flags = rustix::io::fcntl_getfd(&bound).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    rustix::net::listen(&bound, 1).unwrap();
    let listener = TcpListener::from(bound);
    let client = std::net::TcpStream::connect((IP, port)).unwrap();
    let (_, peer) = listener.accept().unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
}

#[tokio::test]
async fn a_refusal_arrives_with_its_kind_and_its_details() {
    let folder = tempfile::tempdir().unwrap();
    let path = helper(&folder, |_| {
        Err::<OwnedFd, _>(RpcError::new(ErrorKind::PortInUse, "taken").with("pid", 7))
    });
    let error = request(&path, IP, 80).await.unwrap_err();
    let refused = RpcError::from(error);
    assert_eq!(refused.data.kind, ErrorKind::PortInUse);
    assert_eq!(refused.data.details["pid"], 7);
}

#[tokio::test]
async fn a_socket_at_another_address_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = helper(&folder, |_| Ok(TcpListener::bind((IP, 0)).unwrap()));
    let error = request(&path, IP, free_port()).await.unwrap_err();
    assert!(matches!(error, HandoverError::Garbled { .. }), "{error}");
}

#[tokio::test]
async fn without_a_helper_the_error_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none");
    let error = request(&path, IP, 80).await.unwrap_err();
    assert_eq!(RpcError::from(error).data.kind, ErrorKind::NotFound);
}

/// What a raw client gets for a line.
async fn answer(line: &[u8]) -> serde_json::Value {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let folder = tempfile::tempdir().unwrap();
    let path = helper(&folder, |_| -> Result<OwnedFd, RpcError> {
        panic!("nothing should be bound")
    });
    let mut client = UnixStream::connect(path).await.unwrap();
    client.write_all(line).await.unwrap();
    let mut reply = Vec::new();
    // One that is refused in the middle of its line is reset.
    let _ = client.read_to_end(&mut reply).await;
    serde_json::from_slice(&reply).unwrap_or_default()
}

#[tokio::test]
async fn what_is_no_request_to_bind_is_refused_with_the_reason() {
    for (line, kind) in [
        ("garbage\n", "invalid_request"),
        ("{\"id\":1,\"method\":\"shutdown\"}\n", "unknown_method"),
        ("{\"id\":1,\"method\":\"bind\"}\n", "invalid_params"),
        (
            "{\"id\":1,\"method\":\"bind\",\"params\":{\"ip\":\"127.77.0.1\",\"port\":80,\"path\":\"/x\"}}\n",
            "invalid_params",
        ),
        (
            "{\"id\":1,\"method\":\"bind\",\"params\":{\"ip\":\"127.77.0.1\",\"port\":65536}}\n",
            "invalid_params",
        ),
    ] {
        let reply = answer(line.as_bytes()).await;
        assert_eq!(reply["error"]["data"]["kind"], kind, "{line}");
    }
    // A line without end is not read without end.
    let endless = vec![b'x'; 2 * MAX_LINE_BYTES];
    assert_eq!(answer(&endless).await, serde_json::Value::Null);
}
