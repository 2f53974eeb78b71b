//! Is anybody listening?

use tokio::net::TcpStream;

/// Whether the text is `HOST:PORT`.
pub(crate) fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

/// Connects to `HOST:PORT`, to whichever of its addresses answers.
///
/// # Errors
/// Why none does, in words.
pub(crate) async fn connect(address: &str) -> Result<TcpStream, String> {
    TcpStream::connect(address)
        .await
        .map_err(|error| format!("cannot connect to {address}: {error}"))
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
        assert!(connect(&address).await.is_ok());
        drop(listener);
        let why = connect(&address).await.unwrap_err();
        assert!(why.contains(&address), "{why}");
    }
}
