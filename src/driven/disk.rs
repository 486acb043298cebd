//! What the machine's disk says, as the domain's errors.

use std::io;

use flow_domain::{Error, Kind};

/// The state directory's disk is full.
pub const FULL: &str = "disk.full";

/// The error for a disk that is full; none for any other error. Nothing that was half written counts: whoever writes
/// a file here writes it aside and renames it.
pub fn full(error: &io::Error) -> Option<Error> {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded).then(|| {
        Error::new(Kind::Internal, FULL, "The disk of this machine's state directory is full.").because(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_disk_is_full() {
        let code = |errno: rustix::io::Errno| full(&errno.into()).map(|error| error.code);
        assert_eq!(code(rustix::io::Errno::NOSPC), Some(FULL));
        assert_eq!(code(rustix::io::Errno::DQUOT), Some(FULL));
        assert_eq!(code(rustix::io::Errno::ACCESS), None);
    }
}
