//! Who called: decided from this process's ids and from what sudo, doas or pkexec says about its caller.
//!
//! Each is to be believed as far as it sets a variable itself, whatever its caller's environment held: sudo sets
//! `SUDO_UID` and `SUDO_GID` (sudo(8)), doas sets `DOAS_USER` (doas(1)), pkexec sets `PKEXEC_UID` (pkexec(1)). Each may
//! pass on a forged variable of another one, if it was told to keep the environment, so where several are there and
//! differ in the user or in the group nobody is believed. That somebody was called through them at all cannot be hidden;
//! so whoever may run nothing but us as root never stands as root itself.

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
    /// `PKEXEC_UID`: a number.
    pub pkexec_uid: Option<OsString>,
}

impl Claims {
    /// Those of this process's environment.
    #[must_use]
    pub fn of_environment() -> Self {
        Self {
            sudo_uid: std::env::var_os("SUDO_UID"),
            sudo_gid: std::env::var_os("SUDO_GID"),
            doas_user: std::env::var_os("DOAS_USER"),
            pkexec_uid: std::env::var_os("PKEXEC_UID"),
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
    /// Two variables name two users, or two groups.
    #[error(
        "{one} says uid {} with group {} called, and {other} says uid {} with group {}: unset the one that is not so",
        .uids[0], .gids[0], .uids[1], .gids[1]
    )]
    Contradiction {
        /// What says the one.
        one: &'static str,
        /// What says the other.
        other: &'static str,
        /// The users, in this order.
        uids: [u32; 2],
        /// The groups, in this order.
        gids: [u32; 2],
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
        .map(|uid| by_sudo(uid, claims.sudo_gid.as_ref(), look_up));
    let doas = claims.doas_user.as_ref().map(|name| by_doas(name, look_up));
    let pkexec = claims
        .pkexec_uid
        .as_ref()
        .map(|uid| by_pkexec(uid, look_up));
    let said = [
        ("SUDO_UID", sudo.transpose()?),
        ("DOAS_USER", doas.transpose()?),
        ("PKEXEC_UID", pkexec.transpose()?),
    ];
    let mut said = said
        .into_iter()
        .filter_map(|(variable, user)| Some((variable, user?)));
    let Some((one, user)) = said.next() else {
        return Ok(Standing::Root);
    };
    match said.find(|(_, differs)| *differs != user) {
        None => Ok(Standing::Serving(user)),
        Some((other, differs)) => Err(ClaimError::Contradiction {
            one,
            other,
            uids: [user.uid, differs.uid],
            gids: [user.gid, differs.gid],
        }),
    }
}

/// The group is not told; it is the user's own.
fn by_pkexec(
    uid: &OsString,
    look_up: &dyn Fn(Named<'_>) -> Option<Identity>,
) -> Result<Identity, ClaimError> {
    let uid = number("PKEXEC_UID", uid)?;
    let gid = look_up(Named::Uid(uid)).map_or(uid, |user| user.gid);
    Ok(Identity { uid, gid })
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
            pkexec_uid: None,
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
    fn whoever_called_through_pkexec_is_served_as_well() {
        let pkexec = |uid: &str| Claims {
            pkexec_uid: Some(uid.into()),
            ..Claims::default()
        };
        let served = Standing::Serving(Identity {
            uid: 1000,
            gid: 100,
        });
        assert_eq!(stands(ROOT, &pkexec("1000")), Ok(served));
        let error = stands(ROOT, &pkexec("x"));
        assert!(matches!(error, Err(ClaimError::Garbled { .. })));
        let both = Claims {
            pkexec_uid: Some("1000".into()),
            ..claims(Some(("1001", "101")), None)
        };
        let error = stands(ROOT, &both);
        assert!(matches!(error, Err(ClaimError::Contradiction { .. })));
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
                one: "SUDO_UID",
                other: "DOAS_USER",
                uids: [0, 1000],
                gids: [0, 100],
            })
        );
        // A group that is not the user's cannot be had by forging the variable that the other one does not set.
        for forged in ["0", "101"] {
            let error = stands(ROOT, &claims(Some(("1000", forged)), Some("alice")));
            assert!(matches!(error, Err(ClaimError::Contradiction { .. })));
        }
    }
}
