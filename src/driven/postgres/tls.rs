//! TLS to a server across a network. Whoever asks for it has the server's certificate and name checked: there is no way
//! not to.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect};
use tokio_postgres::{Config, Socket};
use tokio_rustls::TlsConnector;

/// What connections of this process trust, once an address has asked for TLS: one process has one database.
static TRUST: OnceLock<Trust> = OnceLock::new();

struct Trust {
    connector: TlsConnector,
    ca_file: Option<PathBuf>,
}

/// The server of an address. `sslmode` is one of two in the end: `disable`, or `require` with everything checked, which
/// libpq calls `verify-full`. The error is a sentence without the address, in which there may be a password.
pub fn address(url: &str, ca_file: Option<&Path>) -> Result<Config, String> {
    if url.contains("sslrootcert=") {
        return Err("database.url has sslrootcert: set database.ca_file in its place.".to_owned());
    }
    // The parser knows neither of them.
    let known =
        url.replace("sslmode=verify-full", "sslmode=require").replace("sslmode=verify-ca", "sslmode=require");
    let mut config: Config =
        known.parse().map_err(|_| "database.url is not an address of PostgreSQL.".to_owned())?;
    match (config.get_ssl_mode(), ca_file) {
        (SslMode::Disable, Some(_)) => {
            return Err("database.ca_file is set and database.url has sslmode=disable: take one away.".into());
        }
        (SslMode::Require, _) | (_, Some(_)) => {
            trust(ca_file)?;
            config.ssl_mode(SslMode::Require);
        }
        _ => {
            config.ssl_mode(SslMode::Disable);
        }
    }
    Ok(config)
}

/// The authorities of the file, else those of the system.
fn trust(ca_file: Option<&Path>) -> Result<(), String> {
    let mut authorities = RootCertStore::empty();
    match ca_file {
        Some(file) => {
            let unread =
                |why: &dyn std::fmt::Display| format!("database.ca_file ({}) {why}.", file.display());
            let certificates = CertificateDer::pem_file_iter(file)
                .map_err(|error| unread(&format!("cannot be read: {error}")))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| unread(&format!("is no PEM: {error}")))?;
                authorities
                    .add(certificate)
                    .map_err(|error| unread(&format!("has a certificate that is none: {error}")))?;
            }
            if authorities.is_empty() {
                return Err(unread(&"has no certificate in it"));
            }
        }
        None => {
            authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if authorities.is_empty() {
                return Err("TLS to the database needs the system's certificate authorities, and there are \
                            none: set database.ca_file."
                    .to_owned());
            }
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}."))?
        .with_root_certificates(authorities)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let _ = TRUST.set(Trust { connector, ca_file: ca_file.map(Path::to_owned) });
    Ok(())
}

/// The same for PostgreSQL's own programs, by their variables.
pub(super) fn for_libpq(config: &Config) -> [(&'static str, Option<String>); 2] {
    if config.get_ssl_mode() != SslMode::Require {
        return [("PGSSLMODE", Some("disable".to_owned())), ("PGSSLROOTCERT", None)];
    }
    let file = TRUST.get().and_then(|trust| trust.ca_file.as_ref());
    let authorities = file.map_or("system".to_owned(), |file| file.to_string_lossy().into_owned());
    [("PGSSLMODE", Some("verify-full".to_owned())), ("PGSSLROOTCERT", Some(authorities))]
}

/// For every connection; whether it is used, the connection's `sslmode` says.
#[derive(Clone, Copy)]
pub struct Tls;

impl MakeTlsConnect<Socket> for Tls {
    type Stream = TlsStream;
    type TlsConnect = Server;
    type Error = InvalidDnsNameError;

    fn make_tls_connect(&mut self, host: &str) -> Result<Server, InvalidDnsNameError> {
        // A socket in a folder has no name, and needs no TLS.
        let name = if host.is_empty() { None } else { Some(ServerName::try_from(host.to_owned())?) };
        Ok(Server { name })
    }
}

/// One server to be connected to.
pub struct Server {
    name: Option<ServerName<'static>>,
}

impl TlsConnect<Socket> for Server {
    type Stream = TlsStream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TlsStream>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(async move {
            let nothing = || io::Error::other("nobody has said whom to trust");
            let (trust, name) = TRUST.get().zip(self.name).ok_or_else(nothing)?;
            trust.connector.connect(name, socket).await.map(TlsStream)
        })
    }
}

pub struct TlsStream(tokio_rustls::client::TlsStream<Socket>);

impl tokio_postgres::tls::TlsStream for TlsStream {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
