//! What the private cluster is told, written anew before each start.

use std::path::Path;

/// The number in the socket's file name; there is no TCP port.
pub(super) const PORT: u16 = 5432;

/// The text of the settings file in the state directory.
///
/// Durability is PostgreSQL's own (fsync, full pages): a flow's checkpoint is a promise. Only what serves
/// replication is off. `terse` and `panic` keep rows and statements, and so e-mail addresses, out of the server's log.
pub(super) fn text(socket_dir: &Path) -> String {
    let socket_dir = quoted(&socket_dir.to_string_lossy());
    format!(
        "# Written at each start; changes are lost.
# What initdb found this machine to allow: connections, memory and its kind.
include 'postgres/data/postgresql.conf'
listen_addresses = ''
port = {PORT}
unix_socket_directories = {socket_dir}
unix_socket_permissions = 0700
cluster_name = 'flow-manager'
fsync = on
full_page_writes = on
synchronous_commit = on
wal_level = minimal
max_wal_senders = 0
archive_mode = off
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
log_destination = 'stderr'
logging_collector = off
log_min_messages = warning
log_error_verbosity = terse
log_min_error_statement = panic
"
    )
}

/// A path with a comma or a space in it must be one name in that list, hence the inner quotes.
fn quoted(path: &str) -> String {
    format!("'\"{}\"'", path.replace('\\', "\\\\").replace('\'', "''").replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_one_path_whatever_is_in_it() {
        assert_eq!(quoted("/a b,c"), "'\"/a b,c\"'");
        assert_eq!(quoted("/it's \"x\""), "'\"/it''s \"\"x\"\"\"'");
    }
}
