//! Certificates of a test's own, by openssl.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flow_domain::hex;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/// In PEM, both.
#[derive(Clone)]
pub struct Certificate {
    pub file: PathBuf,
    pub key: PathBuf,
}

impl Certificate {
    /// Made in this directory and signed by nobody but itself.
    pub fn of_itself(dir: &Path) -> Self {
        let made = Self { file: dir.join("cert.pem"), key: dir.join("key.pem") };
        let mut openssl = openssl(dir, "req");
        openssl.arg("-x509").args(KEY).args(["-days", "2", "-subj", "/CN=127.0.0.1"]);
        openssl.args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout"]).arg(&made.key);
        succeeds(openssl.arg("-out").arg(&made.file));
        made
    }

    /// As Proxmox VE shows it.
    pub fn fingerprint(&self) -> String {
        let mut openssl = Command::new("openssl");
        let der = openssl.args(["x509", "-outform", "der", "-in"]).arg(&self.file).output().unwrap().stdout;
        let digits = hex(Sha256::digest(der)).to_uppercase();
        let bytes: Vec<_> = digits.as_bytes().chunks(2).map(|byte| str::from_utf8(byte).unwrap()).collect();
        bytes.join(":")
    }
}

/// Who signs for others.
pub struct Authority(TempDir);

impl Authority {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut openssl = openssl(dir.path(), "req");
        openssl.arg("-x509").args(KEY).args(["-days", "2", "-subj", "/CN=authority"]);
        succeeds(openssl.args(["-keyout", "ca.key", "-out", "ca.pem"]));
        Self(dir)
    }

    /// Its own certificate.
    pub fn pem(&self) -> PathBuf {
        self.0.path().join("ca.pem")
    }

    /// For a server that is called so, `IP:127.0.0.1` or `DNS:example.org`.
    pub fn signs(&self, name: &str) -> Certificate {
        self.signs_until(name, "20991231000000Z")
    }

    /// For one whose time has been over since 2021.
    pub fn signed_long_ago(&self, name: &str) -> Certificate {
        self.signs_until(name, "20210101000000Z")
    }

    fn signs_until(&self, name: &str, end: &str) -> Certificate {
        let dir = tempfile::tempdir_in(self.0.path()).unwrap().keep();
        let made = Certificate { file: dir.join("cert.pem"), key: dir.join("key.pem") };
        let settings = format!(
            "[ca]\ndefault_ca = it\n[it]\ndatabase = index\nnew_certs_dir = .\nrand_serial = yes\ndefault_md = sha256\n\
             policy = any\nx509_extensions = server\n[any]\ncommonName = supplied\n\
             [server]\nbasicConstraints = CA:FALSE\nextendedKeyUsage = serverAuth\nsubjectAltName = {name}\n"
        );
        std::fs::write(dir.join("settings"), settings).unwrap();
        std::fs::write(dir.join("index"), "").unwrap();
        let mut asking = openssl(&dir, "req");
        asking.arg("-new").args(KEY).args(["-subj", "/CN=server", "-keyout", "key.pem", "-out", "asked"]);
        succeeds(&mut asking);
        let mut signing = openssl(&dir, "ca");
        signing.args(["-batch", "-notext", "-config", "settings", "-in", "asked", "-out", "cert.pem"]);
        signing.args(["-cert", "../ca.pem", "-keyfile", "../ca.key"]);
        succeeds(signing.args(["-startdate", "20200101000000Z", "-enddate", end]));
        made
    }
}

fn openssl(dir: &Path, command: &str) -> Command {
    let mut openssl = Command::new("openssl");
    openssl.arg(command).current_dir(dir).stdin(Stdio::null());
    openssl
}

fn succeeds(openssl: &mut Command) {
    let done = openssl.output().expect("openssl: `scripts/setup openssl`");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
