//! What applies to a host, in our own terms.

use std::path::PathBuf;
use std::time::Duration;

use super::walk::{Collected, ConfigError, Ignored, Query, World};
use super::{Tokens, host_name, tokens};

/// The port of SSH.
pub(super) const PORT: u16 = 22;

/// How long connecting may take where nobody says anything: someone waits, and ssh's own answer, the two minutes of the
/// operating system, is no answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How often to ask whether the server lives, and how many answers may fail to come: a tunnel that is dead is known
/// within a minute.
const ALIVE_INTERVAL: Duration = Duration::from_secs(15);
const ALIVE_COUNT: u32 = 3;

/// The key files that are tried where none is named, in the order of ssh(1).
const DEFAULT_KEYS: [&str; 5] = [
    "~/.ssh/id_rsa",
    "~/.ssh/id_ecdsa",
    "~/.ssh/id_ecdsa_sk",
    "~/.ssh/id_ed25519",
    "~/.ssh/id_ed25519_sk",
];

/// What applies to a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The host to connect to.
    pub(crate) host: String,
    /// The host as it was given.
    pub(crate) original_host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    /// Key files, with whether they were named (and not the usual ones).
    pub(crate) identities: Vec<PathBuf>,
    pub(crate) identities_named: bool,
    pub(crate) certificates: Vec<PathBuf>,
    pub(crate) identities_only: bool,
    pub(crate) agent: Agent,
    pub(crate) public_keys: bool,
    pub(crate) proxy: Proxy,
    pub(crate) known_hosts: Vec<PathBuf>,
    pub(crate) global_known_hosts: Vec<PathBuf>,
    pub(crate) revoked_host_keys: Option<PathBuf>,
    pub(crate) host_key_alias: Option<String>,
    pub(crate) check: Check,
    pub(crate) hash_known_hosts: bool,
    pub(crate) no_authentication_for_localhost: bool,
    pub(crate) host_key_algorithms: Option<String>,
    pub(crate) ciphers: Option<String>,
    pub(crate) kex: Option<String>,
    pub(crate) macs: Option<String>,
    pub(crate) public_key_algorithms: Option<String>,
    pub(crate) connect_timeout: Duration,
    pub(crate) alive_interval: Option<Duration>,
    pub(crate) alive_count: u32,
    pub(crate) tcp_keepalive: bool,
    pub(crate) bind_address: Option<String>,
    pub(crate) family: Option<Family>,
    /// Bytes after which keys are changed.
    pub(crate) rekey_bytes: Option<usize>,
    pub(crate) ignored: Vec<Ignored>,
}

/// Which agent is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Agent {
    /// None.
    None,
    /// The one on this socket.
    Socket(PathBuf),
}

/// How the server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proxy {
    /// Directly.
    None,
    /// Through the standard streams of this command, for a shell.
    Command(String),
    /// Through these servers, one after the other: `[user@]host[:port]`.
    Jump(Vec<String>),
}

/// `StrictHostKeyChecking`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// Only hosts that are known.
    Yes,
    /// Ask; nobody can be asked, so only hosts that are known.
    Ask,
    /// A host that is not known yet becomes known.
    AcceptNew,
    /// A host that is not known yet becomes known, and a key that has changed is told and accepted by ssh(1); not by us.
    No,
}

/// `AddressFamily`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

pub(super) fn of(
    query: &Query,
    collected: &Collected,
    world: &impl World,
) -> Result<Settings, ConfigError> {
    let tokens = tokens(query, collected);
    let read = Reader {
        collected,
        tokens: &tokens,
        world,
        query,
    };
    let named = collected.all("identityfile").any(|_| true);
    let identities: Vec<String> = if named {
        collected.all("identityfile").map(str::to_owned).collect()
    } else {
        DEFAULT_KEYS.iter().map(ToString::to_string).collect()
    };
    let mut paths: Vec<PathBuf> = Vec::new();
    for identity in identities.iter().filter(|identity| *identity != "none") {
        let path = read.path(identity);
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    Ok(Settings {
        host: host_name(query, collected),
        original_host: query.host.clone(),
        port: read.number("port")?.unwrap_or(PORT),
        user: tokens.user.clone(),
        identities: paths,
        identities_named: named,
        certificates: collected
            .all("certificatefile")
            .filter(|path| *path != "none")
            .map(|path| read.path(path))
            .collect(),
        identities_only: read.flag("identitiesonly")?.unwrap_or(false),
        agent: read.agent(),
        public_keys: collected.first("pubkeyauthentication") != Some("no"),
        proxy: read.proxy(),
        known_hosts: read.paths(
            "userknownhostsfile",
            &["~/.ssh/known_hosts", "~/.ssh/known_hosts2"],
        ),
        global_known_hosts: read.paths(
            "globalknownhostsfile",
            &["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"],
        ),
        revoked_host_keys: read.some("revokedhostkeys").map(|path| read.path(path)),
        host_key_alias: collected.first("hostkeyalias").map(str::to_owned),
        check: match collected.first("stricthostkeychecking") {
            None | Some("accept-new") => Check::AcceptNew,
            Some("yes" | "true") => Check::Yes,
            Some("ask") => Check::Ask,
            Some("no" | "false" | "off") => Check::No,
            Some(other) => {
                return Err(read.wrong("stricthostkeychecking", other, "yes, no, ask, accept-new"));
            }
        },
        hash_known_hosts: read.flag("hashknownhosts")?.unwrap_or(false),
        no_authentication_for_localhost: read
            .flag("nohostauthenticationforlocalhost")?
            .unwrap_or(false),
        host_key_algorithms: read.owned("hostkeyalgorithms"),
        ciphers: read.owned("ciphers"),
        kex: read.owned("kexalgorithms"),
        macs: read.owned("macs"),
        public_key_algorithms: read.owned("pubkeyacceptedalgorithms"),
        connect_timeout: read
            .time("connecttimeout")?
            .filter(|timeout| !timeout.is_zero())
            .unwrap_or(CONNECT_TIMEOUT),
        alive_interval: match read.time("serveraliveinterval")? {
            // 0 is ssh's own way to say never.
            Some(Duration::ZERO) => None,
            Some(interval) => Some(interval),
            None => Some(ALIVE_INTERVAL),
        },
        alive_count: read.number("serveralivecountmax")?.unwrap_or(ALIVE_COUNT),
        tcp_keepalive: read.flag("tcpkeepalive")?.unwrap_or(true),
        bind_address: read.owned("bindaddress"),
        family: match collected.first("addressfamily") {
            Some("inet") => Some(Family::V4),
            Some("inet6") => Some(Family::V6),
            None | Some("any") => None,
            Some(other) => return Err(read.wrong("addressfamily", other, "any, inet, inet6")),
        },
        rekey_bytes: read.rekey()?,
        ignored: collected.ignored.clone(),
    })
}

struct Reader<'a, W> {
    collected: &'a Collected,
    tokens: &'a Tokens,
    world: &'a W,
    query: &'a Query,
}

impl<W: World> Reader<'_, W> {
    fn wrong(&self, keyword: &str, value: &str, expected: &str) -> ConfigError {
        ConfigError {
            place: format!("ssh_config for {}", self.query.host),
            reason: format!("`{keyword} {value}` makes no sense: write {expected}"),
        }
    }

    fn owned(&self, keyword: &str) -> Option<String> {
        self.collected.first(keyword).map(str::to_owned)
    }

    /// A value that is not `none`.
    fn some(&self, keyword: &str) -> Option<&str> {
        self.collected
            .first(keyword)
            .filter(|value| *value != "none")
    }

    fn number<N: std::str::FromStr>(&self, keyword: &str) -> Result<Option<N>, ConfigError> {
        let Some(value) = self.collected.first(keyword) else {
            return Ok(None);
        };
        let number = value
            .parse()
            .map_err(|_| self.wrong(keyword, value, "a number"))?;
        Ok(Some(number))
    }

    fn flag(&self, keyword: &str) -> Result<Option<bool>, ConfigError> {
        match self.collected.first(keyword) {
            None => Ok(None),
            Some("yes" | "true") => Ok(Some(true)),
            Some("no" | "false") => Ok(Some(false)),
            Some(other) => Err(self.wrong(keyword, other, "yes or no")),
        }
    }

    /// A span of time as ssh writes it: seconds, or `1h30m` (`sshd_config(5)`, TIME FORMATS).
    fn time(&self, keyword: &str) -> Result<Option<Duration>, ConfigError> {
        let Some(value) = self.collected.first(keyword) else {
            return Ok(None);
        };
        if value == "none" {
            return Ok(Some(Duration::ZERO));
        }
        let wrong = || self.wrong(keyword, value, "a number of seconds");
        let mut total = 0_u64;
        let mut rest = value;
        while !rest.is_empty() {
            let end = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            let number: u64 = rest[..end].parse().map_err(|_| wrong())?;
            let mut after = rest[end..].chars();
            let unit = match after.next() {
                None | Some('s' | 'S') => 1,
                Some('m' | 'M') => 60,
                Some('h' | 'H') => 3600,
                Some('d' | 'D') => 86_400,
                Some('w' | 'W') => 604_800,
                Some(_) => return Err(wrong()),
            };
            let seconds = number.checked_mul(unit).ok_or_else(wrong)?;
            total = total.checked_add(seconds).ok_or_else(wrong)?;
            rest = after.as_str();
        }
        if value.is_empty() || total > 10 * 365 * 86_400 {
            return Err(wrong());
        }
        Ok(Some(Duration::from_secs(total)))
    }

    /// `RekeyLimit`: the amount of bytes.
    fn rekey(&self) -> Result<Option<usize>, ConfigError> {
        let Some(value) = self.some("rekeylimit").filter(|value| *value != "default") else {
            return Ok(None);
        };
        let wrong = || self.wrong("rekeylimit", value, "a number with K, M or G");
        let digits = value.trim_end_matches(['K', 'k', 'M', 'm', 'G', 'g']);
        let shift = match &value[digits.len()..] {
            "" => 0,
            "K" | "k" => 10,
            "M" | "m" => 20,
            "G" | "g" => 30,
            _ => return Err(wrong()),
        };
        let number: usize = digits.parse().map_err(|_| wrong())?;
        let bytes = number.checked_mul(1 << shift).ok_or_else(wrong)?;
        Ok((bytes > 0).then_some(bytes))
    }

    fn path(&self, text: &str) -> PathBuf {
        let path = self.tokens.path(text, |name| self.world.variable(name));
        PathBuf::from(path)
    }

    fn paths(&self, keyword: &str, usual: &[&str]) -> Vec<PathBuf> {
        match self.collected.arguments(keyword) {
            Some([none]) if none == "none" => vec![],
            Some(paths) => paths.iter().map(|path| self.path(path)).collect(),
            None => usual.iter().map(|path| self.path(path)).collect(),
        }
    }

    fn agent(&self) -> Agent {
        let from_variable = |name: &str| match self.world.variable(name) {
            Some(path) if !path.is_empty() => Agent::Socket(path.into()),
            _ => Agent::None,
        };
        match self.collected.first("identityagent") {
            None | Some("SSH_AUTH_SOCK") => from_variable("SSH_AUTH_SOCK"),
            Some("none") => Agent::None,
            Some(text) => match text.strip_prefix('$') {
                Some(name) if !name.starts_with('{') => from_variable(name),
                _ => Agent::Socket(self.path(text)),
            },
        }
    }

    fn proxy(&self) -> Proxy {
        if let Some(jump) = self.some("proxyjump") {
            let hops = jump.split(',').map(|hop| hop.trim().to_owned());
            return Proxy::Jump(hops.filter(|hop| !hop.is_empty()).collect());
        }
        match self.collected.rest("proxycommand") {
            None => Proxy::None,
            Some(command) if command.trim() == "none" => Proxy::None,
            Some(command) => Proxy::Command(self.tokens.percent(command)),
        }
    }
}
