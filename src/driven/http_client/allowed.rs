//! Which servers may be called.

use std::net::{Ipv4Addr, Ipv6Addr};

use flow_domain::{Error, Kind, Result};
use reqwest::Url;

pub struct AllowedHosts(Vec<Entry>);

struct Entry {
    host: Host,
    port: Port,
}

enum Host {
    /// In lower case, an IPv6 address in brackets, as in a URL.
    Exact(String),
    /// What follows the star, with its dot.
    Below(String),
}

enum Port {
    /// 80 by http, 443 by https.
    Usual,
    Exact(u16),
    Any,
}

impl AllowedHosts {
    pub fn parse(entries: &[String]) -> Result<Self> {
        let unread = |entry: &String| {
            let public = format!(
                "{entry:?} is not a host: write NAME, *.NAME or an address, and :PORT or :* if need be."
            );
            Error::new(Kind::Invalid, "http.allowed_host_invalid", public)
        };
        entries
            .iter()
            .map(|entry| Entry::parse(entry.trim()).ok_or_else(|| unread(entry)))
            .collect::<Result<_>>()
            .map(Self)
    }

    /// Whether the URL leads to an allowed server by http or https. The URL's parser has brought the host into one
    /// form by now: 0x7f.1, 127.1 and 2130706433 are all 127.0.0.1 here.
    pub fn check(&self, url: &Url) -> Result<()> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Error::invalid(
                "http.url_invalid",
                "The URL must begin with http:// or https://.",
                vec![],
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::invalid(
                "http.url_invalid",
                "The URL must not hold a user or password.",
                vec![],
            ));
        }
        let host = url.host_str().unwrap_or_default();
        let usual = url.port().is_none();
        let port = url.port_or_known_default().unwrap_or_default();
        match self.0.iter().any(|entry| entry.covers(host, port, usual)) {
            true => Ok(()),
            false => Err(Error::forbidden(
                "http.host_forbidden",
                "This server is not among those that may be called; an operator can allow it.",
            )),
        }
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            // The last colon of a bare IPv6 address is not before a port.
            Some((host, port)) if host.ends_with(']') || !host.contains(':') => (host, Some(port)),
            _ => (text, None),
        };
        let port = match port {
            None => Port::Usual,
            Some("*") => Port::Any,
            Some(port) => Port::Exact(port.parse().ok().filter(|port| *port > 0)?),
        };
        let host = match host.strip_prefix("*.") {
            Some(parent) => Host::Below(format!(".{}", name(parent)?)),
            None => Host::Exact(address(host).or_else(|| name(host))?),
        };
        Some(Self { host, port })
    }

    fn covers(&self, host: &str, port: u16, usual: bool) -> bool {
        // A trailing dot names the same host.
        let bare = host.strip_suffix('.').unwrap_or(host);
        let host_fits = match &self.host {
            Host::Exact(known) => known == bare,
            Host::Below(suffix) => {
                is_name(bare) && bare.len() > suffix.len() && bare.ends_with(suffix.as_str())
            }
        };
        let port_fits = match self.port {
            Port::Usual => usual,
            Port::Exact(known) => known == port,
            Port::Any => true,
        };
        host_fits && port_fits
    }
}

/// An address as a URL writes it.
fn address(text: &str) -> Option<String> {
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Some(address.to_string());
    }
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    inner.parse::<Ipv6Addr>().ok()?;
    // The URL's parser and not `Ipv6Addr` says how it is written there.
    Url::parse(&format!("http://[{inner}]/")).ok()?.host_str().map(str::to_owned)
}

/// A host's name in lower case, if it is one: not an address in disguise.
fn name(text: &str) -> Option<String> {
    let plain = |c: char| c.is_alphanumeric() || c == '-' || c == '.' || c == '_';
    if text.is_empty() || text.starts_with('.') || !text.chars().all(plain) {
        return None;
    }
    let url = Url::parse(&format!("http://{text}/")).ok()?;
    let host = url.host_str()?;
    let host = host.strip_suffix('.').unwrap_or(host);
    is_name(host).then(|| host.to_owned())
}

fn is_name(host: &str) -> bool {
    !host.starts_with('[') && host.parse::<Ipv4Addr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(entries: &[&str], url: &str) -> bool {
        let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        let allowed = AllowedHosts::parse(&entries).unwrap_or_else(|error| panic!("{error}"));
        Url::parse(url).is_ok_and(|url| allowed.check(&url).is_ok())
    }

    #[test]
    fn a_name_covers_itself_at_the_usual_ports() {
        let entries = &["API.example.com"];
        for url in [
            "http://api.example.com/x",
            "https://api.example.com",
            "https://API.EXAMPLE.COM:443",
            "http://api.example.com./",
        ] {
            assert!(allows(entries, url), "{url}");
        }
        for url in [
            "http://example.com",
            "http://x.api.example.com",
            "http://api.example.com.evil.org",
            "http://xapi.example.com",
            "http://api.example.com:8080",
            "http://api.example.com:443",
        ] {
            assert!(!allows(entries, url), "{url}");
        }
    }

    #[test]
    fn a_star_covers_what_is_below_and_no_address() {
        let entries = &["*.example.com", "*.1.com"];
        assert!(allows(entries, "https://a.example.com"));
        assert!(allows(entries, "https://a.b.example.com"));
        for url in
            ["https://example.com", "https://aexample.com", "https://a.example.com:8443", "http://1.1.1.1"]
        {
            assert!(!allows(entries, url), "{url}");
        }
    }

    #[test]
    fn ports_are_one_or_any() {
        assert!(allows(&["h:8080"], "http://h:8080"));
        assert!(!allows(&["h:8080"], "http://h"));
        assert!(allows(&["h:80"], "http://h"));
        assert!(allows(&["h:*"], "http://h:9") && allows(&["h:*"], "https://h"));
    }

    #[test]
    fn addresses_must_be_listed_however_they_are_written() {
        for url in
            ["http://127.0.0.1", "http://127.1", "http://0x7f.1", "http://2130706433", "http://0177.0.0.1"]
        {
            assert!(allows(&["127.0.0.1"], url), "{url}");
            assert!(!allows(&["localhost:*", "*.example.com", "example.com"], url), "{url}");
        }
        assert!(allows(&["[::1]:8080"], "http://[0:0::1]:8080"));
        assert!(allows(&["::1"], "http://[::1]/"));
        assert!(!allows(&["127.0.0.1"], "http://[::ffff:127.0.0.1]/"));
        assert!(!allows(&["127.0.0.1"], "http://169.254.169.254/latest/meta-data"));
    }

    #[test]
    fn other_schemes_and_passwords_in_the_url_are_refused() {
        for url in [
            "ftp://h/",
            "file:///etc/passwd",
            "http://user@h/",
            "http://user:pw@h/",
            "http://:pw@h/",
            "data:,x",
        ] {
            assert!(!allows(&["h:*"], url), "{url}");
        }
        assert!(!allows(&["h"], "http://h@evil.org/") && !allows(&["h"], "http://evil.org#@h/"));
    }

    #[test]
    fn entries_that_mean_nothing_are_named() {
        for entry in [
            "",
            "*",
            "*.",
            "http://h",
            "h/path",
            "h:0",
            "h:x",
            "a b",
            "*.1.1.1.1",
            "u@h",
            "**.h",
            "a.*.h",
            "[::1",
        ] {
            let error = AllowedHosts::parse(&[entry.to_owned()])
                .err()
                .unwrap_or_else(|| panic!("{entry:?} was read"));
            assert!(error.public.contains(&format!("{entry:?}")), "{}", error.public);
        }
        assert!(!allows(&[], "http://h/"), "an empty list allows nobody");
    }
}
