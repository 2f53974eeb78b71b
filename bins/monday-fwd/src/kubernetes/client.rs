//! A `kube::Client` on connections of our own ([`Connector`]).
//!
//! Everything that kubectl users have in their kubeconfig works as kube makes it work: certificates, tokens, exec
//! plugins, OIDC, proxies, impersonation, `tls-server-name`. Requests share a few connections; one that asks for an
//! upgrade has a connection of its own, for a refused upgrade leaves a connection in a state that some proxies get
//! wrong.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Request, Uri, header};
use hyper::rt::{Read, Write};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::{self, connect::Connection};
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ConfigExt as _};
use kube::{Client, Config};
use tower::{BoxError, Service, ServiceBuilder, service_fn};

use super::connector::Connector;

/// Makes the client. Runs an exec plugin, if there is one, and waits for it.
///
/// # Errors
/// A certificate, key or proxy that cannot be used, or an exec plugin that failed.
pub(crate) fn client(config: &Config) -> Result<Client, kube::Error> {
    let connector = Connector::new();
    let Some(proxy) = config.proxy_url.clone() else {
        return over(config, connector);
    };
    match proxy.scheme_str() {
        Some("socks5") => over(config, SocksV5::new(proxy, connector)),
        Some("http") => over(config, tunnel(proxy, connector)),
        Some("https") => {
            let to_proxy = config.rustls_https_connector_with_connector(connector)?;
            over(config, tunnel(proxy, to_proxy))
        }
        _ => Err(kube::Error::ProxyProtocolUnsupported {
            proxy_url: Box::new(proxy),
        }),
    }
}

fn over<C>(config: &Config, connector: C) -> Result<Client, kube::Error>
where
    C: Service<Uri> + Clone + Send + Sync + 'static,
    C::Response: Connection + Read + Write + Send + Unpin + 'static,
    C::Future: Send + 'static,
    C::Error: std::error::Error + Send + Sync + 'static,
{
    let connector = config.rustls_https_connector_with_connector(connector)?;
    let shared: legacy::Client<_, Body> =
        legacy::Client::builder(TokioExecutor::new()).build(connector.clone());
    let fresh: legacy::Client<_, Body> = legacy::Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build(connector);
    let send = service_fn(move |request: Request<Body>| {
        let upgrade = request.headers().contains_key(header::UPGRADE);
        if upgrade { &fresh } else { &shared }.request(request)
    });
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(send);
    Ok(Client::new(service, config.default_namespace.clone()))
}

/// Through a proxy by CONNECT, with the name and password that its address has.
fn tunnel<C>(proxy: Uri, connector: C) -> Tunnel<C> {
    let user = proxy
        .authority()
        .and_then(|authority| authority.as_str().rsplit_once('@'))
        .map(|(user, _)| decoded(user));
    let tunnel = Tunnel::new(proxy, connector);
    match user.map(|user| HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(user)))) {
        Some(Ok(value)) => tunnel.with_auth(value),
        _ => tunnel,
    }
}

/// With its percent-escapes replaced (RFC 3986, section 2.1); one that is none stays.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let escaped = (first == b'%')
            .then(|| after.get(..2))
            .flatten()
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => bytes.push(first),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_escapes_are_replaced() {
        assert_eq!(decoded("us%40er:p%3Aw"), b"us@er:p:w");
        assert_eq!(decoded("100%+A%4"), b"100%+A%4");
    }
}
