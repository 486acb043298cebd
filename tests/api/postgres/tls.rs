//! A server across a network that takes nobody without TLS, and what is said to those who do not trust it.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::faults::database::Database;
use crate::faults::service::Service;
use crate::harness::{free_port, server_user};

/// Names in the certificates: an authority's, and one of a server called `localhost`, which is no authority.
const NAMES: &str = "[req]\ndistinguished_name=dn\n[dn]\n[ca]\nbasicConstraints=critical,CA:TRUE\n\
                     [server]\nbasicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost\n";

struct Encrypted {
    database: Database,
    port: u16,
    /// Of the authority that vouches for the server, and of one that does not.
    ca: PathBuf,
    other_ca: PathBuf,
    _dir: TempDir,
}

impl Encrypted {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("names"), NAMES).unwrap();
        for authority in ["ca", "other"] {
            certificate(dir.path(), authority, &["-extensions", "ca"]);
        }
        let (ca, key) = (at("ca.pem"), at("ca.key"));
        let by = ["-extensions", "server", "-CA", ca.to_str().unwrap(), "-CAkey", key.to_str().unwrap()];
        certificate(dir.path(), "server", &by);
        let port = free_port();
        let database = Database::start_with(|folder| {
            for name in ["server.pem", "server.key"] {
                std::fs::copy(at(name), folder.join(name)).unwrap();
                if rustix::process::geteuid().is_root() {
                    let (uid, gid) = server_user();
                    chown(folder.join(name), Some(uid), Some(gid)).unwrap();
                }
            }
            std::fs::write(folder.join("hba"), "hostssl all all 127.0.0.1/32 trust\nlocal all all trust\n")
                .unwrap();
            let folder = folder.display();
            format!(
                "-p {port} -c listen_addresses=127.0.0.1 -c ssl=on -c hba_file={folder}/hba \
                 -c ssl_cert_file={folder}/server.pem -c ssl_key_file={folder}/server.key"
            )
        });
        Self { database, port, ca, other_ca: at("other.pem"), _dir: dir }
    }

    fn url(&self, host: &str, more: &str) -> String {
        format!("postgres://postgres@{host}:{}/postgres{more}", self.port)
    }
}

fn certificate(dir: &Path, name: &str, more: &[&str]) {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
    openssl.args(["-days", "2", "-subj"]).arg(format!("/CN={name}")).arg("-config").arg(dir.join("names"));
    openssl.arg("-keyout").arg(dir.join(format!("{name}.key")));
    openssl.arg("-out").arg(dir.join(format!("{name}.pem"))).args(more);
    let made = openssl.stderr(Stdio::null()).status().expect("openssl: `scripts/setup openssl`");
    assert!(made.success(), "{name}");
}

/// What `flow-manager check` says of the database.
fn check(url: &str, ca: Option<&Path>) -> String {
    let state = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_flow-manager"));
    command.arg("check").current_dir(env!("CARGO_MANIFEST_DIR"));
    command.env("FLOW_DATABASE_URL", url).env("FLOW_STATE_DIR", state.path());
    if let Some(ca) = ca {
        command.env("FLOW_DATABASE_CA_FILE", ca);
    }
    let done = command.output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    let words = said.lines().find(|line| line.trim_start().starts_with("database "));
    words.unwrap_or_else(|| panic!("{said}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_connection_is_encrypted_and_a_backup_as_well() {
    let server = Encrypted::start();
    let ca = server.ca.to_str().unwrap();
    let url = server.url("localhost", "?sslmode=verify-full");
    let service = Service::start_with(&url, &[("FLOW_DATABASE_CA_FILE", ca)]).await;
    let run = service.client.post(format!("{}/flow-manager", service.base)).bearer_auth(&service.token);
    let run = run.json(&json!({"flow": "hello", "input": {"name": "Ada"}})).send().await.unwrap();
    let run: Value = run.json().await.unwrap();
    assert_eq!(run["status"], "succeeded", "{run}");

    let (client, connection) =
        server.database.config().port(server.port).connect(tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let sessions =
        "select count(*) filter (where ssl), count(*) from pg_stat_ssl join pg_stat_activity using (pid)
                    where application_name = 'flow-manager'";
    let row = client.query_one(sessions, &[]).await.unwrap();
    let (encrypted, all): (i64, i64) = (row.get(0), row.get(1));
    assert!(encrypted == all && all >= 3, "{encrypted} of {all}");
    connection.abort();

    let file = service.state_dir().with_file_name("backup");
    let mut backup = Command::new(env!("CARGO_BIN_EXE_flow-manager"));
    backup.arg("backup").arg(&file).current_dir(env!("CARGO_MANIFEST_DIR"));
    backup
        .env("FLOW_DATABASE_URL", &url)
        .env("FLOW_DATABASE_CA_FILE", ca)
        .env("FLOW_STATE_DIR", service.state_dir());
    let done = backup.output().unwrap();
    assert!(done.status.success() && file.exists(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn who_is_not_trusted_is_told_so() {
    let server = Encrypted::start();
    let (ca, other) = (Some(server.ca.as_path()), Some(server.other_ca.as_path()));
    let secure = server.url("localhost", "?sslmode=require");
    let cases = [
        (secure.clone(), ca, "answers"),
        // The file alone asks for TLS.
        (server.url("localhost", ""), ca, "answers"),
        (secure.clone(), other, "certificate"),
        // Not one of the system's.
        (secure.clone(), None, "certificate"),
        (server.url("127.0.0.1", "?sslmode=require"), ca, "not valid for name"),
        (server.url("localhost", ""), None, "no encryption"),
        (server.url("localhost", "?sslmode=disable"), ca, "sslmode=disable"),
        (server.url("localhost", "?sslmode=require&sslrootcert=/x"), None, "database.ca_file"),
        (secure, Some(Path::new("/dev/null")), "no certificate"),
    ];
    for (url, ca, word) in cases {
        let said = check(&url, ca);
        assert!(said.contains(word), "{url} {ca:?}: {said}");
        assert!(!said.contains("postgres@"), "{said}");
    }
}

#[test]
fn a_server_without_tls_is_not_talked_to_when_it_was_asked_for() {
    let port = free_port();
    let _server = Database::start_with(|_| format!("-p {port} -c listen_addresses=127.0.0.1"));
    let said = check(&format!("postgres://postgres@localhost:{port}/postgres?sslmode=require"), None);
    assert!(said.contains("does not support TLS"), "{said}");
}
