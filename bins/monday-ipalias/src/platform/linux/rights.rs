//! Capabilities (capabilities(7)) and user ids, of the one thread that there is at the beginning; threads inherit them.

use std::io;

use monday_shared::identity::Identity;
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_ambient_set,
    clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_no_new_privs,
};

use crate::privilege::rights::Rights;

/// Gives up root's groups, and takes the user's ids aside as the saved ones: then a thread may act as that user
/// ([`Identity::act`]) without any capability.
pub(crate) fn take_stand(user: Identity) -> io::Result<()> {
    // A limit of the caller's on the size of files must not cut ours off. Without the right to lift it, it stays.
    let _ = setrlimit(Resource::RLIMIT_FSIZE, RLIM_INFINITY, RLIM_INFINITY);
    let root = (Uid::from_raw(0), Gid::from_raw(0));
    setgroups(&[])?;
    setresgid(root.1, root.1, Gid::from_raw(user.gid))?;
    setresuid(root.0, root.0, Uid::from_raw(user.uid))?;
    Ok(())
}

/// Keeps these rights and drops all others; they cannot be regained by executing anything either.
pub(crate) fn confine(rights: Rights) -> io::Result<()> {
    let keep = set_of(rights);
    drop_from_bounding_set(keep)?;
    clear_ambient_capability_set()?;
    set_no_new_privs(true)?;
    keep_only(keep)
}

/// Drops what an ordinary user has got from the executable's file (setcap(8)), ports below 1024 excepted: with more, every
/// user of the machine could write any file through `--hosts-file`. What the user had before stays.
pub(crate) fn drop_gained() -> io::Result<()> {
    let gained = capabilities(None)?
        .permitted
        .iter()
        .filter(|capability| !is_ambient(*capability))
        .collect::<CapabilitySet>();
    if CapabilitySet::NET_BIND_SERVICE.contains(gained) {
        return Ok(());
    }
    let all = capabilities(None)?.permitted;
    keep_only((all - gained) | CapabilitySet::NET_BIND_SERVICE)
}

fn is_ambient(capability: CapabilitySet) -> bool {
    capability_is_in_ambient_set(capability).unwrap_or(false)
}

fn keep_only(keep: CapabilitySet) -> io::Result<()> {
    let now = capabilities(None)?;
    let kept = CapabilitySets {
        effective: now.permitted & keep,
        permitted: now.permitted & keep,
        inheritable: now.inheritable & keep,
    };
    Ok(set_capabilities(None, kept)?)
}

fn drop_from_bounding_set(keep: CapabilitySet) -> io::Result<()> {
    for capability in CapabilitySet::all().iter() {
        if keep.contains(capability) {
            continue;
        }
        match remove_capability_from_bounding_set(capability) {
            // An older kernel does not know it; without CAP_SETPCAP, as in some containers, `no_new_privs` alone does it.
            Ok(()) | Err(Errno::INVAL | Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn set_of(rights: Rights) -> CapabilitySet {
    let Rights {
        bind_low_ports,
        change_any_file,
        see_any_process,
    } = rights;
    let files = CapabilitySet::CHOWN | CapabilitySet::DAC_OVERRIDE | CapabilitySet::FOWNER;
    [
        (bind_low_ports, CapabilitySet::NET_BIND_SERVICE),
        (change_any_file, files),
        (see_any_process, CapabilitySet::SYS_PTRACE),
    ]
    .into_iter()
    .filter(|(wanted, _)| *wanted)
    .fold(CapabilitySet::empty(), |all, (_, one)| all | one)
}
