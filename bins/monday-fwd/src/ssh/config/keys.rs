//! Which directives there are, and what becomes of each.

/// What becomes of a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// The first value counts.
    First,
    /// Values add up.
    All,
    /// It means nothing to a connection that only forwards, or to one that never asks.
    Meaningless,
    /// It is not honoured, and whoever wrote it should know.
    Ignored,
}

const FIRST: &[&str] = &[
    "addressfamily",
    "bindaddress",
    "casignaturealgorithms",
    "ciphers",
    "connecttimeout",
    "connectionattempts",
    "exitonforwardfailure",
    "globalknownhostsfile",
    "hashknownhosts",
    "hostkeyalgorithms",
    "hostkeyalias",
    "hostname",
    "identitiesonly",
    "identityagent",
    "ignoreunknown",
    "kexalgorithms",
    "macs",
    "nohostauthenticationforlocalhost",
    "port",
    "proxycommand",
    "proxyjump",
    "pubkeyacceptedalgorithms",
    "pubkeyauthentication",
    "rekeylimit",
    "revokedhostkeys",
    "serveralivecountmax",
    "serveraliveinterval",
    "stricthostkeychecking",
    "tag",
    "tcpkeepalive",
    "user",
    "userknownhostsfile",
];

const ALL: &[&str] = &["certificatefile", "identityfile"];

const MEANINGLESS: &[&str] = &[
    "addkeystoagent",
    "batchmode",
    "canonicaldomains",
    "canonicalizefallbacklocal",
    "canonicalizehostname",
    "canonicalizemaxdots",
    "canonicalizepermittedcnames",
    "channeltimeout",
    "checkhostip",
    "clearallforwardings",
    "compression",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "dynamicforward",
    "enableescapecommandline",
    "enablesshkeysign",
    "escapechar",
    "fingerprinthash",
    "forkafterauthentication",
    "forwardagent",
    "forwardx11",
    "forwardx11timeout",
    "forwardx11trusted",
    "gatewayports",
    "gssapiauthentication",
    "gssapidelegatecredentials",
    "gssapikeyexchange",
    "gssapitrustdns",
    "hostbasedauthentication",
    "ipqos",
    "kbdinteractiveauthentication",
    "kbdinteractivedevices",
    "challengeresponseauthentication",
    "localcommand",
    "localforward",
    "logverbose",
    "loglevel",
    "numberofpasswordprompts",
    "obscurekeystroketiming",
    "passwordauthentication",
    "permitlocalcommand",
    "permitremoteopen",
    "preferredauthentications",
    "remotecommand",
    "remoteforward",
    "requesttty",
    "requiredrsasize",
    "sendenv",
    "sessiontype",
    "setenv",
    "stdinnull",
    "streamlocalbindmask",
    "streamlocalbindunlink",
    "syslogfacility",
    "updatehostkeys",
    "usekeychain",
    "verifyhostkeydns",
    "versionaddendum",
    "visualhostkey",
    "warnweakcrypto",
    "xauthlocation",
];

/// Old names.
const ALIASES: &[(&str, &str)] = &[
    ("pubkeyacceptedkeytypes", "pubkeyacceptedalgorithms"),
    ("identityfile2", "identityfile"),
    ("userknownhostsfile2", "userknownhostsfile"),
    ("keepalive", "tcpkeepalive"),
];

/// The name that counts, and what becomes of the directive. The keyword is in lower case.
pub(super) fn of(keyword: &str) -> (&str, Use) {
    let known = ALIASES.iter().find(|(old, _)| *old == keyword);
    let name = known.map_or(keyword, |(_, new)| *new);
    let what = if FIRST.contains(&name) {
        Use::First
    } else if ALL.contains(&name) {
        Use::All
    } else if MEANINGLESS.contains(&name) {
        Use::Meaningless
    } else {
        Use::Ignored
    };
    (name, what)
}
