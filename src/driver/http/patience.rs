//! How long a connection may stand still.
//!
//! Rocket's body writer has no timeout: a peer that reads nothing, or that is gone without a word, would hold its
//! connection for ever. The kernel has one, `TCP_USER_TIMEOUT`, and connections take it over from the socket that
//! listens. Rocket binds that socket itself and shows it to nobody, so it is looked for among our own.

use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::time::Duration;

use rustix::net::{getsockname, sockopt};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// Closes connections of this port whose peer takes nothing we send for this long. Tells whether it could.
pub(super) fn limit(port: u16, patience: Duration) -> io::Result<()> {
    let ms = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
    let listener = listener(port)?;
    Ok(sockopt::set_tcp_user_timeout(listener, ms)?)
}

fn listener(port: u16) -> io::Result<OwnedFd> {
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    for entry in std::fs::read_dir("/proc/self/fd")?.flatten() {
        let is_socket =
            std::fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"));
        let number = entry.file_name().to_string_lossy().parse::<RawFd>();
        let (true, Ok(number)) = (is_socket, number) else { continue };
        let socket = pidfd_getfd(&own, number, PidfdGetfdFlags::empty())?;
        if sockopt::socket_acceptconn(&socket).unwrap_or(false) && bound_to(&socket) == Some(port) {
            return Ok(socket);
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "no socket listens on it"))
}

fn bound_to(socket: &OwnedFd) -> Option<u16> {
    let address = std::net::SocketAddr::try_from(getsockname(socket).ok()?).ok()?;
    Some(address.port())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_peer_that_reads_nothing_is_left() {
        let listening = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listening.local_addr().unwrap();
        limit(address.port(), Duration::from_millis(500)).unwrap();
        let _deaf = TcpStream::connect(address).unwrap();
        let (mut talking, _) = listening.accept().unwrap();
        let error = loop {
            if let Err(error) = talking.write_all(&[0; 1 << 16]) {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
    }

    #[test]
    fn a_port_nobody_listens_on_has_no_limit() {
        assert!(limit(0, Duration::from_secs(1)).is_err());
    }
}
