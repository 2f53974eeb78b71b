//! Our reading of `ssh_config` beside that of ssh(1), over files as they are in real life.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Uid, User};

use super::{Agent, Args, Proxy, Query, Settings, System, query, resolve, tilde};

/// What ssh(1) makes of a file for a host, by keyword; nothing if there is no ssh.
fn theirs(file: &Path, host: &str) -> Option<BTreeMap<String, Vec<String>>> {
    let output = Command::new("ssh")
        .args(["-G", "-F"])
        .arg(file)
        .arg(host)
        .output()
        .ok()?;
    assert!(
        output.status.success(),
        "ssh -G -F {} {host}: {}",
        file.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if let Some((keyword, value)) = line.split_once(' ') {
            said.entry(keyword.to_owned())
                .or_default()
                .push(value.to_owned());
        }
    }
    Some(said)
}

fn ours(file: &Path, query: &Query) -> Settings {
    let words = ["-F".to_owned(), file.display().to_string()];
    resolve(&Args::read(&words).unwrap(), query, &System).unwrap()
}

/// What we say, as ssh(1) would say it; paths with everything put in.
fn said(settings: &Settings, file: &str) -> Vec<(&'static str, Vec<String>)> {
    let paths = |paths: &[PathBuf]| {
        paths
            .iter()
            .map(|path| path.display().to_string())
            .collect()
    };
    let yes = |yes: bool| vec![if yes { "yes" } else { "no" }.to_owned()];
    let mut said = vec![
        ("hostname", vec![settings.host.clone()]),
        ("port", vec![settings.port.to_string()]),
        ("user", vec![settings.user.clone()]),
        ("identitiesonly", yes(settings.identities_only)),
        ("hashknownhosts", yes(settings.hash_known_hosts)),
        ("tcpkeepalive", yes(settings.tcp_keepalive)),
    ];
    if settings.identities_named {
        said.push(("identityfile", paths(&settings.identities)));
    }
    if !settings.certificates.is_empty() {
        said.push(("certificatefile", paths(&settings.certificates)));
    }
    match &settings.proxy {
        Proxy::Jump(hops) => said.push(("proxyjump", vec![hops.join(",")])),
        Proxy::Command(command) => said.push(("proxycommand", vec![command.clone()])),
        Proxy::None => {}
    }
    if let Some(alias) = &settings.host_key_alias {
        said.push(("hostkeyalias", vec![alias.clone()]));
    }
    if let Some(address) = &settings.bind_address {
        said.push(("bindaddress", vec![address.clone()]));
    }
    // Ours differ from theirs where nothing is written.
    let text = fs::read_to_string(file).unwrap();
    if text.contains("ConnectTimeout") {
        said.push((
            "connecttimeout",
            vec![settings.connect_timeout.as_secs().to_string()],
        ));
    }
    if let Some(interval) = settings
        .alive_interval
        .filter(|_| text.contains("ServerAliveInterval"))
    {
        said.push(("serveraliveinterval", vec![interval.as_secs().to_string()]));
    }
    if text.contains("UserKnownHostsFile") {
        said.push(("userknownhostsfile", paths(&settings.known_hosts)));
    }
    said
}

#[test]
fn files_of_real_life_mean_what_they_mean_to_ssh() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ssh_config");
    // ssh(1) takes the home folder of the user database, whatever HOME says.
    let home = User::from_uid(Uid::effective()).unwrap().unwrap().dir;
    let mut compared = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        let file = entry.unwrap().path();
        let name = file.display().to_string();
        let text = fs::read_to_string(&file).unwrap();
        // The first line names the hosts to ask for.
        let hosts = text
            .lines()
            .next()
            .unwrap()
            .strip_prefix("# hosts:")
            .unwrap();
        for host in hosts.split_whitespace() {
            let Some(theirs) = theirs(&file, host) else {
                assert!(
                    std::env::var_os("CI").is_none(),
                    "ssh is missing: install openssh-client"
                );
                eprintln!("SKIPPED: ssh is missing: install openssh-client");
                return;
            };
            let query = Query {
                home: home.clone(),
                ..query(host)
            };
            let settings = ours(&file, &query);
            for (keyword, ours) in said(&settings, &name) {
                let mut theirs = theirs.get(keyword).cloned().unwrap_or_default();
                if keyword.ends_with("file") {
                    // They show paths as they were written, and several known_hosts on one line.
                    theirs = theirs
                        .iter()
                        .flat_map(|value| {
                            let one_line = keyword == "userknownhostsfile";
                            let pieces: Vec<&str> = if one_line {
                                value.split(' ').collect()
                            } else {
                                vec![value]
                            };
                            pieces.into_iter().map(str::to_owned).collect::<Vec<_>>()
                        })
                        .map(|path| tilde(&path.replace("%h", &settings.host), &query.home))
                        .collect();
                }
                if keyword == "proxycommand" {
                    let port = settings.port.to_string();
                    theirs = theirs
                        .iter()
                        .map(|c| c.replace("%h", &settings.host).replace("%p", &port))
                        .collect();
                }
                assert_eq!(ours, theirs, "{name}: {host}: {keyword}");
                compared += 1;
            }
            if name.contains("keys.conf") && host == "agent" {
                assert_eq!(settings.agent, Agent::None);
            }
        }
    }
    assert!(compared > 150, "only {compared} values were compared");
}
