//! Becoming the user of `[server] user`: once the sockets are bound, root is not needed any more.

use nix::unistd::{User, initgroups, setgid, setuid};
use std::ffi::CString;

use super::StartError;

/// Becomes `user`, with the groups it has.
///
/// # Errors
/// There is no such user, or this process may not become it.
pub(super) fn become_user(user: &str) -> Result<(), StartError> {
    let refused = |why: String| StartError::User { user: user.to_owned(), why };
    let failed = |e: nix::Error| refused(e.desc().to_owned());
    let entry =
        User::from_name(user).map_err(failed)?.ok_or_else(|| refused("there is no such user".to_owned()))?;
    if nix::unistd::geteuid() == entry.uid {
        return Ok(());
    }
    let name = CString::new(user).map_err(|e| refused(e.to_string()))?;
    initgroups(&name, entry.gid).map_err(failed)?;
    setgid(entry.gid).map_err(failed)?;
    setuid(entry.uid).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_user_is_one_clear_sentence() {
        let e = become_user("no-such-user-here").unwrap_err();
        assert_eq!(e.to_string(), "cannot become the user `no-such-user-here`: there is no such user");
    }
}
