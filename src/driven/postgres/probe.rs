//! Whether a server elsewhere is one this service can use.

use std::time::Duration;

use tokio_postgres::Config;

use super::tls::Tls;

/// The oldest PostgreSQL the service's SQL runs on, as `server_version_num` counts.
const OLDEST_SERVER: i32 = 150_000;

/// Asks the server which one it is. The error's text never holds the address, in which there may be a password.
/// Blocks; not to be called from an async thread.
pub fn server_version(server: Config) -> Result<String, String> {
    let mut config = postgres::Config::from(server);
    config.connect_timeout(Duration::from_secs(3));
    let ask = || -> Result<(i32, String), postgres::Error> {
        let mut client = config.connect(Tls)?;
        let row = client.query_one(
            "select current_setting('server_version_num')::int, current_setting('server_version')",
            &[],
        )?;
        Ok((row.get(0), row.get(1)))
    };
    match ask() {
        Ok((number, version)) if number < OLDEST_SERVER => {
            Err(format!("PostgreSQL {version} answers; 15 or later is needed"))
        }
        Ok((_, version)) => Ok(format!("PostgreSQL {version} answers")),
        Err(error) => match std::error::Error::source(&error) {
            Some(source) => Err(format!("{error}: {source}")),
            None => Err(error.to_string()),
        },
    }
}
