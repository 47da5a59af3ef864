//! Sockets that systemd has bound (`sd_listen_fds(3)`): they are used for the addresses and the control socket of the config
//! that they are bound to.

use std::path::PathBuf;

use listenfd::ListenFd;
use tracing::warn;

use crate::serve::{Bound, Inherited, Maker};

/// The sockets that were passed to this process. Once: what is taken here is gone from the environment.
pub fn activated() -> Inherited {
    let mut inherited = Inherited::nothing();
    if std::env::var_os("LISTEN_PID").is_none() {
        return inherited; // what else is in the environment is not for us
    }
    let mut passed = ListenFd::from_env();
    for i in 0..passed.len() {
        if let Err(e) = take(&mut passed, i, &mut inherited) {
            warn!(number = i, %e, "a socket that systemd has passed is of no use");
        }
    }
    inherited
}

fn take(passed: &mut ListenFd, i: usize, inherited: &mut Inherited) -> std::io::Result<()> {
    if let Ok(Some(udp)) = passed.take_udp_socket(i) {
        return inherited.add(None, Bound::Udp(udp));
    }
    if let Ok(Some(tcp)) = passed.take_tcp_listener(i) {
        return inherited.add(None, Bound::Tcp(tcp));
    }
    if let Some(unix) = passed.take_unix_listener(i)? {
        let path = unix.local_addr()?.as_pathname().map(PathBuf::from);
        inherited.add_control(path.unwrap_or_default(), Maker::Systemd, unix);
    }
    Ok(())
}
