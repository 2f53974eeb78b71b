//! Is anybody listening?

use std::net::SocketAddr;
use std::path::Path;

use monday_shared::platform::private_hosts;
use tokio::net::TcpStream;

/// Whether the text is `HOST:PORT`.
pub(crate) fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

/// Connects to `HOST:PORT`, to whichever of its addresses answers; what the hosts file says counts before what the system
/// says.
///
/// # Errors
/// Why none does, in words.
pub(crate) async fn connect(address: &str, hosts: Option<&Path>) -> Result<TcpStream, String> {
    let connected = match hosts.map(|hosts| in_file(address, hosts)) {
        Some(known) if !known.is_empty() => TcpStream::connect(&known[..]).await,
        _ => TcpStream::connect(address).await,
    };
    connected.map_err(|error| format!("cannot connect to {address}: {error}"))
}

/// What the hosts file says.
fn in_file(address: &str, hosts: &Path) -> Vec<SocketAddr> {
    let known = address.rsplit_once(':').and_then(|(host, port)| {
        let port: u16 = port.parse().ok()?;
        // One that cannot be read says nothing.
        let content = std::fs::read(hosts).ok()?;
        let ips = private_hosts::addresses_of(host, &content);
        Some(
            ips.into_iter()
                .map(|ip| SocketAddr::new(ip, port))
                .collect(),
        )
    });
    known.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for good in ["localhost:80", "[::1]:8080", "127.0.0.1:65535"] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "",
            "80",
            ":80",
            "localhost",
            "localhost:",
            "localhost:0",
            "localhost:65536",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }

    #[tokio::test]
    async fn whoever_listens_is_found_and_who_does_not_is_named() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert!(connect(&address, None).await.is_ok());
        drop(listener);
        let why = connect(&address, None).await.unwrap_err();
        assert!(why.contains(&address), "{why}");
    }

    #[tokio::test]
    async fn a_name_of_the_hosts_file_is_found_there_and_any_other_as_always() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let hosts = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(hosts.path(), "127.0.0.1 api.shop.test\n").unwrap();
        let hosts = Some(hosts.path());
        assert!(
            connect(&format!("api.shop.test:{port}"), hosts)
                .await
                .is_ok()
        );
        assert!(connect(&format!("127.0.0.1:{port}"), hosts).await.is_ok());
    }
}
