//! Who has a session.

use monday_shared::platform::process_tree::Identity;
use monday_shared::timestamp;

use super::patch::marks::Holder;

/// This user, on this machine, in this process.
pub(crate) fn holder(id: String) -> Holder {
    Holder {
        id,
        user: user(),
        host: host(),
        pid: std::process::id(),
        since: timestamp::now(),
    }
}

/// Is it a process of this user on this machine that is not there any more?
pub(crate) fn is_gone(holder: &Holder) -> bool {
    is_own(holder) && holder.host == host() && Identity::of(holder.pid).is_none()
}

/// Is it of this user?
pub(crate) fn is_own(holder: &Holder) -> bool {
    holder.user == user()
}

fn user() -> String {
    let uid = nix::unistd::getuid();
    match nix::unistd::User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        _ => uid.to_string(),
    }
}

fn host() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "unknown".to_owned())
}
