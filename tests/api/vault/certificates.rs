//! Whose certificate is taken of a Vault, and its namespaces.

use std::path::PathBuf;
use std::time::Duration;

use flow_domain::flows::secret::Secrets;
use flow_manager::driven::vault::{Vault, VaultOptions};
use reqwest::Method;
use serde_json::{Value, json};

use super::options;
use crate::harness::{Authority, TestBao};

const HERE: &str = "IP:127.0.0.1";

fn by_https(bao: &TestBao, ca_file: Option<PathBuf>) -> VaultOptions {
    VaultOptions { url: bao.https_url(), ca_file, ..options(bao, Duration::ZERO) }
}

async fn refusal(bao: &TestBao, ca_file: Option<PathBuf>) -> String {
    let vault = Vault::new(by_https(bao, ca_file)).unwrap();
    let error = vault.resolve("lab/token", None).await.unwrap_err();
    assert_eq!(error.code, "secret.unavailable", "{error}");
    assert_eq!(vault.check().await.unwrap_err().public, error.public);
    error.public
}

#[tokio::test]
async fn an_authority_vouches_for_its_own_vault_alone() {
    let (ours, other) = (Authority::new(), Authority::new());
    let bao = TestBao::with(&ours.signs(HERE)).await;
    bao.write("lab/token", json!({"value": "the-value"})).await;
    let vault = Vault::new(by_https(&bao, Some(ours.pem()))).unwrap();
    assert_eq!(vault.resolve("lab/token", None).await.unwrap().0, "the-value");
    vault.check().await.unwrap();
    let nobody = "The Vault's certificate is refused: nobody who is trusted here signed it.";
    assert_eq!(refusal(&bao, Some(other.pem())).await, nobody);
    assert_eq!(refusal(&bao, None).await, nobody);
    assert_eq!(bao.tokens().await.len(), 1, "nobody else was told who we are");
    let gone = Vault::new(by_https(&bao, Some("/no/such/file".into()))).err().unwrap();
    assert!(gone.starts_with("secrets.ca_file cannot be used: "), "{gone}");
    let clear = VaultOptions { url: "http://vault.example.org:8200".into(), ..by_https(&bao, None) };
    assert_eq!(Vault::new(clear).err().unwrap(), "secrets.url must begin with https://.");
}

#[tokio::test]
async fn one_that_is_old_or_for_another_is_refused() {
    let ours = Authority::new();
    let bao = TestBao::with(&ours.signed_long_ago(HERE)).await;
    let told = refusal(&bao, Some(ours.pem())).await;
    assert_eq!(told, "The Vault's certificate is refused: it has expired.");
    let bao = TestBao::with(&ours.signs("DNS:vault.example.org")).await;
    let told = refusal(&bao, Some(ours.pem())).await;
    assert_eq!(told, "The Vault's certificate is refused: it is for another name.");
}

#[tokio::test]
async fn a_namespace_has_logins_and_secrets_of_its_own() {
    let bao = TestBao::start(3600, 7200).await;
    bao.write("lab/token", json!({"value": "of-the-root"})).await;
    bao.root(Method::POST, "sys/namespaces/team", json!({})).await;
    let within = async |method, path: &str, body| bao.within("team", method, path, body).await;
    within(Method::POST, "sys/mounts/secret", json!({"type": "kv", "options": {"version": "2"}})).await;
    within(Method::POST, "secret/data/lab/token", json!({"data": {"value": "of-the-team"}})).await;
    let rules = "path \"secret/data/lab/*\" { capabilities = [\"read\"] }";
    within(Method::PUT, "sys/policies/acl/fm", json!({"policy": rules})).await;
    within(Method::POST, "sys/auth/approle", json!({"type": "approle"})).await;
    within(Method::POST, "auth/approle/role/fm", json!({"token_policies": ["fm"]})).await;
    let role = within(Method::GET, "auth/approle/role/fm/role-id", Value::Null).await;
    let secret = within(Method::POST, "auth/approle/role/fm/secret-id", json!({})).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of_team = VaultOptions {
        namespace: Some("team".into()),
        role_id: text(&role["data"]["role_id"]),
        secret_id: text(&secret["data"]["secret_id"]),
        ..options(&bao, Duration::ZERO)
    };
    let vault = Vault::new(of_team.clone()).unwrap();
    assert_eq!(vault.resolve("lab/token", None).await.unwrap().0, "of-the-team");
    vault.check().await.unwrap();
    // Who may in one may not in the other.
    let elsewhere = Vault::new(VaultOptions { namespace: None, ..of_team }).unwrap();
    assert_eq!(elsewhere.resolve("lab/token", None).await.unwrap_err().code, "secret.login_refused");
    let lost = VaultOptions { namespace: Some("gone".into()), ..options(&bao, Duration::ZERO) };
    let error = Vault::new(lost).unwrap().resolve("lab/token", None).await.unwrap_err();
    assert_eq!(error.code, "secret.login_refused", "{error}");
}
