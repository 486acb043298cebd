//! Servers of others that secrets are sent to: by HTTPS alone, to a certificate that somebody vouches for.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use reqwest::{Certificate, ClientBuilder, Url};
use rustls::{CertificateError, Error as TlsError};

/// A server's address: HTTPS, or HTTP that stays on this machine. `key` is its setting; the error is a sentence.
pub fn address(key: &str, url: &str) -> Result<Url, String> {
    let url = Url::parse(url).map_err(|error| format!("{key} is no URL: {error}."))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if here => Ok(url),
        _ => Err(format!("{key} must begin with https://.")),
    }
}

/// Takes what an authority of this file signed, besides what the system trusts. The error is a sentence.
pub fn trusting(client: ClientBuilder, key: &str, file: &Path) -> Result<ClientBuilder, String> {
    let unusable = |why: &dyn fmt::Display| format!("{key} cannot be used: {why}.");
    let pem = std::fs::read(file).map_err(|error| unusable(&error))?;
    let roots = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(&error))?;
    if roots.is_empty() {
        return Err(unusable(&"it has no certificate in PEM"));
    }
    Ok(roots.into_iter().fold(client, ClientBuilder::add_root_certificate))
}

/// Why a server's certificate was refused, if that is what went wrong.
fn refusal(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(TlsError::InvalidCertificate(why)) = error.downcast_ref() {
            return Some(words(why));
        }
        // An I/O error's source is that of the error in it, which would be passed by.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// A call that came to nothing: what `away` says of it, or that the certificate of `whose` is refused and why.
pub fn unreached(
    error: &reqwest::Error,
    whose: &str,
    away: fn(&dyn fmt::Display) -> flow_domain::Error,
) -> flow_domain::Error {
    let told = away(&chain(error));
    match refusal(error) {
        Some(why) => flow_domain::Error { public: format!("{whose} certificate is refused: {why}."), ..told },
        None => told,
    }
}

fn words(why: &CertificateError) -> String {
    let words = match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another name"
        }
        // The second: an authority of the same name, with another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "nobody who is trusted here signed it"
        }
        CertificateError::Revoked => "it was revoked",
        // What a pin says.
        CertificateError::ApplicationVerificationFailure => "it has another fingerprint",
        // One that openssl made with a single command is its own authority.
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "it is an authority's own, and no server's"
        }
        other => return format!("it cannot be used ({other})"),
    };
    words.to_owned()
}

/// An error with what is behind it: the reason of a refused connection is.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_called_in_clear() {
        for url in ["https://h:8006", "http://127.0.0.1:1", "http://[::1]:1", "http://localhost"] {
            assert!(address("x.url", url).is_ok(), "{url}");
        }
        for url in ["http://10.0.0.1:8006", "http://h", "ftp://127.0.0.1", "http://127.0.0.1.example.org"] {
            assert_eq!(address("x.url", url).unwrap_err(), "x.url must begin with https://.", "{url}");
        }
        assert!(address("x.url", "x").unwrap_err().starts_with("x.url is no URL"));
    }

    #[test]
    fn a_file_without_a_certificate_vouches_for_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        let told = |file: &Path| trusting(reqwest::Client::builder(), "x.ca_file", file).err().unwrap();
        assert!(told(&file).starts_with("x.ca_file cannot be used: "));
        std::fs::write(&file, "nothing").unwrap();
        assert_eq!(told(&file), "x.ca_file cannot be used: it has no certificate in PEM.");
    }

    #[test]
    fn the_reason_is_found_behind_other_errors() {
        let tls = TlsError::InvalidCertificate(CertificateError::Expired);
        let twice = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, tls));
        assert_eq!(refusal(&twice).as_deref(), Some("it has expired"));
        assert_eq!(refusal(&io::Error::other("gone")), None);
        assert_eq!(refusal(&io::Error::from(io::ErrorKind::TimedOut)), None);
    }
}
