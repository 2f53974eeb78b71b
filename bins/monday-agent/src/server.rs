//! The SSH server on the pod's loopback address.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use monday_shared::accept;
use monday_shared::backoff::Backoff;
use ring::rand::{SecureRandom as _, SystemRandom};
use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::server::{Config, run_stream};
use russh::{MethodKind, MethodSet, SshId};
use tokio::net::TcpListener;

use crate::error::Error;
use crate::link::Link;
use crate::ports::Ports;
use crate::say::say;
use crate::settings::Settings;

/// Where tunnels come in: only who may forward ports of the pod reaches it.
const ADDRESS: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 5022);

/// By this the other end knows that it may use credit.
const ID: &str = concat!("SSH-2.0-monday_agent_", env!("CARGO_PKG_VERSION"));

/// A tunnel whose other end is silent is asked for a sign of life so often, and given up after so many without one: the
/// pod shall not get traffic that nobody takes.
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVES: usize = 3;

/// The credit of the protocol itself; both ends agree on less ([`monday_shared::channel_relay`]).
const WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// More packets of one channel than that may not wait, or all channels do. They are taken at once.
const CHANNEL_PACKETS: usize = 512;

/// Whoever has no key may try once in that time.
const AFTER_REJECTION: Duration = Duration::from_secs(1);

/// Listens.
///
/// # Errors
/// [`Error::Listen`]
pub(crate) fn bind() -> Result<TcpListener, Error> {
    let address = SocketAddr::from(ADDRESS);
    let listen = || {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    };
    listen().map_err(|source| Error::Listen { address, source })
}

/// Serves tunnels until it is told to end.
///
/// # Errors
/// [`Error::HostKey`]
pub(crate) async fn run(
    listener: TcpListener,
    settings: Settings,
    ended: impl Future<Output = ()>,
) -> Result<(), Error> {
    let host_key = host_key()?;
    let config = Arc::new(Config {
        server_id: SshId::Standard(ID.into()),
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        auth_rejection_time: AFTER_REJECTION,
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![host_key],
        window_size: WINDOW_BYTES,
        channel_buffer_size: CHANNEL_PACKETS,
        inactivity_timeout: None,
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: KEEPALIVES,
        nodelay: true,
        ..Config::default()
    });
    say(format_args!(
        "monday-agent {} waits for a tunnel on {}:{}",
        env!("CARGO_PKG_VERSION"),
        ADDRESS.0,
        ADDRESS.1
    ));
    let ports = Ports::new(settings.ready_port);
    let serving = async {
        let mut backoff = Backoff::new(accept::AGAIN);
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    backoff.reset();
                    let _ = stream.set_nodelay(true);
                    let link = Link::new(settings.key.clone(), ports.clone());
                    let config = Arc::clone(&config);
                    tokio::spawn(async move {
                        match run_stream(config, stream, link).await {
                            // Why it ended is said where it ended.
                            Ok(running) => drop(running.await),
                            Err(error) => say(format_args!("a tunnel did not come about: {error}")),
                        }
                    });
                }
                Err(error) if accept::concerns_one_client(&error) => {}
                Err(error) => {
                    say(format_args!("cannot accept a tunnel: {error}"));
                    tokio::time::sleep(backoff.failed_after(Duration::ZERO)).await;
                }
            }
        }
    };
    tokio::select! {
        () = serving => {}
        () = ended => say("the pod is ending"),
    }
    Ok(())
}

/// One for as long as the process lives. Nobody can check it beforehand: that the way leads to this pod is the API
/// server's word, as it is for every port-forward.
fn host_key() -> Result<PrivateKey, Error> {
    let failed = |why: &dyn std::fmt::Display| Error::HostKey(why.to_string());
    let mut seed = [0; 32];
    SystemRandom::new()
        .fill(&mut seed)
        .map_err(|_| failed(&"the system gives no random numbers"))?;
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
    PrivateKey::new(pair, "").map_err(|error| failed(&error))
}
