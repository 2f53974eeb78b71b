//! Who called: decided from this process's ids and from what sudo or doas says about its caller.
//!
//! Both are to be believed as far as they set a variable themselves, whatever their caller's environment held: sudo sets
//! `SUDO_UID` and `SUDO_GID` (sudo(8)), doas sets `DOAS_USER` (doas(1)). Each may pass on a forged variable of the other,
//! if it was told to keep the environment, so where both are there and differ nobody is believed. That somebody was
//! called through them at all cannot be hidden; so whoever may run nothing but us as root never stands as root itself.

use std::ffi::OsString;

use monday_shared::identity::Identity;

use super::Standing;

/// The user ids of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// Who started it.
    pub real: u32,
    /// Whose rights it has.
    pub effective: u32,
}

impl Ids {
    /// Those of this process.
    #[must_use]
    pub fn own() -> Self {
        Self {
            real: nix::unistd::getuid().as_raw(),
            effective: nix::unistd::geteuid().as_raw(),
        }
    }
}

/// What the environment says about who called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// `SUDO_UID`: a number.
    pub sudo_uid: Option<OsString>,
    /// `SUDO_GID`: a number.
    pub sudo_gid: Option<OsString>,
    /// `DOAS_USER`: a name.
    pub doas_user: Option<OsString>,
}

impl Claims {
    /// Those of this process's environment.
    #[must_use]
    pub fn of_environment() -> Self {
        Self {
            sudo_uid: std::env::var_os("SUDO_UID"),
            sudo_gid: std::env::var_os("SUDO_GID"),
            doas_user: std::env::var_os("DOAS_USER"),
        }
    }
}

/// A user to look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named<'a> {
    /// By name.
    Name(&'a str),
    /// By number.
    Uid(u32),
}

/// Why it cannot be said who called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// The executable has the set-user-ID bit.
    #[error(
        "this executable has the set-user-ID bit, which it is not made for: take it away (chmod u-s) and start it through sudo or doas, `monday-ipalias setup --print` says how"
    )]
    SetUid,
    /// A variable does not say what it should.
    #[error(
        "{variable} is {value:?}, which is no user: start monday-ipalias through sudo or doas, or in a root shell of your own unset {variable}"
    )]
    Garbled {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: OsString,
    },
    /// Two variables name two users.
    #[error(
        "SUDO_UID says uid {sudo} called and DOAS_USER says uid {doas}: unset the one that is not so"
    )]
    Contradiction {
        /// Who it was by sudo.
        sudo: u32,
        /// Who it was by doas.
        doas: u32,
    },
}

/// Decides how a process stands. `look_up` finds users.
///
/// # Errors
/// [`ClaimError`] where it would have to be guessed.
pub fn judge(
    ids: Ids,
    claims: &Claims,
    look_up: &dyn Fn(Named<'_>) -> Option<Identity>,
) -> Result<Standing, ClaimError> {
    if ids.real != ids.effective {
        return Err(ClaimError::SetUid);
    }
    // Who is not root can be helped or harmed with nothing that a caller says.
    if ids.effective != 0 {
        return Ok(Standing::Ordinary);
    }
    let sudo = claims
        .sudo_uid
        .as_ref()
        .map(|uid| by_sudo(uid, claims.sudo_gid.as_ref(), look_up))
        .transpose()?;
    let doas = claims
        .doas_user
        .as_ref()
        .map(|name| by_doas(name, look_up))
        .transpose()?;
    match (sudo, doas) {
        (None, None) => Ok(Standing::Root),
        (Some(sudo), Some(doas)) if sudo.uid != doas.uid => Err(ClaimError::Contradiction {
            sudo: sudo.uid,
            doas: doas.uid,
        }),
        (Some(user), _) | (None, Some(user)) => Ok(Standing::Serving(user)),
    }
}

fn by_sudo(
    uid: &OsString,
    gid: Option<&OsString>,
    look_up: &dyn Fn(Named<'_>) -> Option<Identity>,
) -> Result<Identity, ClaimError> {
    let uid = number("SUDO_UID", uid)?;
    // It is always there; if not, the user's own group is the one that is meant.
    let gid = match gid {
        Some(gid) => number("SUDO_GID", gid)?,
        None => look_up(Named::Uid(uid)).map_or(uid, |user| user.gid),
    };
    Ok(Identity { uid, gid })
}

fn by_doas(
    name: &OsString,
    look_up: &dyn Fn(Named<'_>) -> Option<Identity>,
) -> Result<Identity, ClaimError> {
    name.to_str()
        .and_then(|name| look_up(Named::Name(name)))
        .ok_or_else(|| ClaimError::Garbled {
            variable: "DOAS_USER",
            value: name.clone(),
        })
}

/// A number of a user or group. The highest one stands for "none" in system calls and is nobody's.
fn number(variable: &'static str, value: &OsString) -> Result<u32, ClaimError> {
    value
        .to_str()
        // `parse` takes a plus sign.
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .filter(|number| *number != u32::MAX)
        .ok_or_else(|| ClaimError::Garbled {
            variable,
            value: value.clone(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: Ids = Ids {
        real: 0,
        effective: 0,
    };

    fn claims(sudo: Option<(&str, &str)>, doas: Option<&str>) -> Claims {
        Claims {
            sudo_uid: sudo.map(|(uid, _)| uid.into()),
            sudo_gid: sudo.map(|(_, gid)| gid.into()),
            doas_user: doas.map(OsString::from),
        }
    }

    fn users(wanted: Named<'_>) -> Option<Identity> {
        let known = [("alice", 1000, 100), ("bob", 1001, 101)];
        known
            .into_iter()
            .find(|(name, uid, _)| match wanted {
                Named::Name(wanted) => wanted == *name,
                Named::Uid(wanted) => wanted == *uid,
            })
            .map(|(_, uid, gid)| Identity { uid, gid })
    }

    fn stands(ids: Ids, claims: &Claims) -> Result<Standing, ClaimError> {
        judge(ids, claims, &users)
    }

    #[test]
    fn root_works_for_whoever_called_through_sudo_or_doas() {
        let served = |uid, gid| Ok(Standing::Serving(Identity { uid, gid }));
        assert_eq!(
            stands(ROOT, &claims(Some(("1000", "100")), None)),
            served(1000, 100)
        );
        assert_eq!(stands(ROOT, &claims(None, Some("bob"))), served(1001, 101));
        // doas within a shell of sudo, and the other way round.
        let both = claims(Some(("1000", "100")), Some("alice"));
        assert_eq!(stands(ROOT, &both), served(1000, 100));
        // A root shell that calls sudo is served as its caller, too: it may have said so for somebody else.
        assert_eq!(stands(ROOT, &claims(Some(("0", "0")), None)), served(0, 0));
        let without_group = Claims {
            sudo_uid: Some("1001".into()),
            ..Claims::default()
        };
        assert_eq!(stands(ROOT, &without_group), served(1001, 101));
    }

    #[test]
    fn root_without_a_caller_is_root_itself() {
        assert_eq!(stands(ROOT, &Claims::default()), Ok(Standing::Root));
    }

    #[test]
    fn what_an_ordinary_user_claims_means_nothing() {
        let ids = Ids {
            real: 1000,
            effective: 1000,
        };
        for claims in [
            Claims::default(),
            claims(Some(("0", "0")), Some("root")),
            claims(Some(("garbage", "")), None),
        ] {
            assert_eq!(stands(ids, &claims), Ok(Standing::Ordinary));
        }
    }

    #[test]
    fn a_set_user_id_bit_is_refused() {
        let ids = Ids {
            real: 1000,
            effective: 0,
        };
        for claims in [Claims::default(), claims(Some(("0", "0")), None)] {
            assert_eq!(stands(ids, &claims), Err(ClaimError::SetUid));
        }
    }

    #[test]
    fn nobody_is_believed_where_the_claims_are_garbled_or_contradict_each_other() {
        for (uid, gid) in [
            ("", "0"),
            ("-1", "0"),
            ("+1000", "0"),
            ("4294967295", "0"),
            ("1000 ", "0"),
            ("99999999999", "0"),
            ("alice", "0"),
            ("1000", "x"),
        ] {
            let error = stands(ROOT, &claims(Some((uid, gid)), None));
            assert!(
                matches!(error, Err(ClaimError::Garbled { .. })),
                "{uid:?} {gid:?}"
            );
        }
        assert!(matches!(
            stands(ROOT, &claims(None, Some("mallory"))),
            Err(ClaimError::Garbled { .. })
        ));
        assert_eq!(
            stands(ROOT, &claims(Some(("0", "0")), Some("alice"))),
            Err(ClaimError::Contradiction {
                sudo: 0,
                doas: 1000
            })
        );
    }
}
