//! Another user's rights to files, for one thread (setfsuid(2)).

use std::io;
use std::marker::PhantomData;

use nix::unistd::{Gid, Uid, setfsgid, setfsuid};

use crate::identity::Identity;

/// This thread acts as somebody else until this is dropped. The kernel takes root's rights over other people's files
/// (`CAP_DAC_OVERRIDE` and its kin, capabilities(7)) from the thread meanwhile, and gives them back.
#[derive(Debug)]
pub struct Acting {
    before: Identity,
    /// It belongs to this thread.
    thread: PhantomData<*const ()>,
}

/// Makes this thread act as that user.
///
/// # Errors
/// `PermissionDenied` if this process may not.
pub fn act_as(user: Identity) -> io::Result<Acting> {
    let acting = Acting {
        before: now(),
        thread: PhantomData,
    };
    take(user);
    // The calls do not say whether they worked. If not, dropping `acting` undoes the half that did.
    if now() == user {
        Ok(acting)
    } else {
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("this process may not act as the user with uid {}", user.uid),
        ))
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        take(self.before);
    }
}

fn take(user: Identity) {
    // Both give back what was before, never an error.
    let _ = setfsgid(Gid::from_raw(user.gid));
    let _ = setfsuid(Uid::from_raw(user.uid));
}

/// A number that nobody has changes nothing, and the answer is who we are.
fn now() -> Identity {
    Identity {
        uid: setfsuid(Uid::from_raw(u32::MAX)).as_raw(),
        gid: setfsgid(Gid::from_raw(u32::MAX)).as_raw(),
    }
}
