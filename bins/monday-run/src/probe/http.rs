//! Is anybody answering? One GET of HTTP/1.1 (RFC 9112), of whose answer only the status line is read.

use std::path::Path;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use super::tcp;

/// A status line is longer only if somebody wants to do harm.
const STATUS_LINE_BYTES: u64 = 4096;

/// The first status that is no success.
const FIRST_ERROR: u16 = 400;

/// The parts of a URL that matter here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Url<'a> {
    /// What the server is told it was asked for.
    authority: &'a str,
    /// Where it is.
    address: String,
    /// What is asked for.
    target: String,
}

impl<'a> Url<'a> {
    /// Reads `http://HOST[:PORT][/PATH][?QUERY]`, or the same with `https`.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let port = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let rest = rest.split('#').next()?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(end)?;
        if text.contains(|c: char| c.is_control() || c == ' ') || authority.contains('@') {
            return None;
        }
        // What follows the last colon is a port, unless the colon belongs to an address in brackets.
        let address = if authority.contains(':') && !authority.ends_with(']') {
            authority.to_owned()
        } else {
            format!("{authority}:{port}")
        };
        let slash = if target.starts_with('/') { "" } else { "/" };
        tcp::is_address(&address).then(|| Self {
            authority,
            address,
            target: format!("{slash}{target}"),
        })
    }
}

/// Asks for the URL.
///
/// # Errors
/// Why the answer is no success, in words.
pub(crate) async fn get(url: &str, hosts: Option<&Path>) -> Result<(), String> {
    let parsed = Url::parse(url).ok_or_else(|| format!("`{url}` is not a URL"))?;
    let mut stream = tcp::connect(&parsed.address, hosts).await?;
    let lost = |error: std::io::Error| format!("{url}: {error}");
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: monday-run\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        parsed.target, parsed.authority
    );
    stream.write_all(request.as_bytes()).await.map_err(lost)?;
    let mut line = Vec::new();
    BufReader::new(stream)
        .take(STATUS_LINE_BYTES)
        .read_until(b'\n', &mut line)
        .await
        .map_err(lost)?;
    match status(&line) {
        Some(status) if status < FIRST_ERROR => Ok(()),
        Some(status) => Err(format!("{url} answers with status {status}")),
        None => Err(format!("{url} does not answer in HTTP")),
    }
}

fn status(line: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(line).ok()?;
    let (version, rest) = line.split_once(' ')?;
    version.strip_prefix("HTTP/1.")?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn parts(text: &str) -> Option<(String, String, String)> {
        let url = Url::parse(text)?;
        Some((url.authority.to_owned(), url.address, url.target))
    }

    #[test]
    fn a_url_is_taken_apart() {
        let owned = |a: &str, b: &str, c: &str| Some((a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(parts("http://a"), owned("a", "a:80", "/"));
        assert_eq!(
            parts("http://a:8080/x?y#z"),
            owned("a:8080", "a:8080", "/x?y")
        );
        assert_eq!(parts("http://[::1]/x"), owned("[::1]", "[::1]:80", "/x"));
        assert_eq!(
            parts("https://[::1]:1?q"),
            owned("[::1]:1", "[::1]:1", "/?q")
        );
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for text in [
            "",
            "a:80",
            "ftp://a",
            "http://",
            "http:///x",
            "http://a:b/",
            "http://u:p@a/",
            "http://a/ b",
            "http://a/\r\n",
        ] {
            assert_eq!(parts(text), None, "{text}");
        }
    }

    async fn answer(reply: &'static str) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/health", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let bytes = stream.read(&mut request).await.unwrap();
            stream.write_all(reply.as_bytes()).await.unwrap();
            String::from_utf8(request[..bytes].to_vec()).unwrap()
        });
        let answered = get(&url, None).await;
        assert!(
            server
                .await
                .unwrap()
                .starts_with("GET /health HTTP/1.1\r\nHost: 127.0.0.1:")
        );
        answered
    }

    #[tokio::test]
    async fn a_success_and_a_redirection_are_ready_and_an_error_is_not() {
        assert_eq!(answer("HTTP/1.1 204 No Content\r\n\r\n").await, Ok(()));
        assert_eq!(answer("HTTP/1.0 302 Found\r\n\r\n").await, Ok(()));
        let why = answer("HTTP/1.1 503 Busy\r\n\r\n").await.unwrap_err();
        assert!(why.ends_with("status 503"), "{why}");
        let why = answer("SSH-2.0-OpenSSH\r\n").await.unwrap_err();
        assert!(why.contains("HTTP"), "{why}");
        assert!(answer("").await.is_err());
    }
}
