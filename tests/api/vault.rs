//! Secrets from a real Vault.

mod certificates;

use std::time::{Duration, Instant};

use flow_domain::flows::secret::Secrets;
use flow_manager::driven::vault::{Vault, VaultOptions};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::TestBao;
use crate::labs::{Bench, Person};

const PATIENCE: Duration = Duration::from_secs(60);

fn options(bao: &TestBao, wait: Duration) -> VaultOptions {
    VaultOptions {
        url: bao.url(),
        mount: "secret".into(),
        namespace: None,
        role_id: bao.role_id.clone(),
        secret_id: bao.secret_id.clone(),
        ca_file: None,
        wait,
    }
}

async fn code(vault: &Vault, path: &str, version: Option<&str>) -> &'static str {
    vault.resolve(path, version).await.unwrap_err().code
}

#[tokio::test]
async fn secrets_are_read_by_path_field_and_version() {
    let bao = TestBao::start(3600, 7200).await;
    bao.write("lab/token", json!({"value": "first-value", "user": "ann", "n": 7})).await;
    bao.write("lab/token", json!({"value": "second-value"})).await;
    bao.write("other/token", json!({"value": "not-for-us"})).await;
    let vault = Vault::new(options(&bao, Duration::ZERO)).unwrap();
    let value = async |path: &str, version| vault.resolve(path, version).await.unwrap();
    assert_eq!(value("lab/token", None).await, ("second-value".into(), "2".into()));
    assert_eq!(value("lab/token", Some("1")).await, ("first-value".into(), "1".into()));
    assert_eq!(value("lab/token#user", Some("1")).await.0, "ann");
    assert_eq!(value("lab/token#n", Some("1")).await.0, "7");
    assert_eq!(code(&vault, "lab/token#user", None).await, "secret.no_field");
    assert_eq!(code(&vault, "lab/nothing", None).await, "secret.unknown");
    assert_eq!(code(&vault, "other/token", None).await, "secret.forbidden");
    for path in ["lab/../other/token", "", "lab//token", "./lab/token"] {
        assert_eq!(code(&vault, path, None).await, "secret.unknown", "{path}");
    }
    // A deleted version is no missing path, and no older one takes its place.
    bao.root(Method::DELETE, "secret/data/lab/token", Value::Null).await;
    assert_eq!(code(&vault, "lab/token", None).await, "secret.deleted");
    bao.root(Method::POST, "secret/destroy/lab/token", json!({"versions": [1]})).await;
    let destroyed = vault.resolve("lab/token", Some("1")).await.unwrap_err();
    assert_eq!((destroyed.code, destroyed.public.contains("destroyed")), ("secret.deleted", true));
    assert_eq!(bao.tokens().await.len(), 1, "one login is enough");
    vault.end().await;
    assert_eq!(bao.tokens().await.len(), 0, "it is revoked");
}

#[tokio::test]
async fn a_refused_login_is_no_loop_and_a_refused_token_is_one_fresh_login() {
    let bao = TestBao::start(3600, 7200).await;
    bao.write("lab/token", json!({"value": "the-value"})).await;
    let wrong = VaultOptions { secret_id: "nonsense".into(), ..options(&bao, Duration::from_secs(600)) };
    assert_eq!(code(&Vault::new(wrong).unwrap(), "lab/token", None).await, "secret.login_refused");
    let wrong = VaultOptions { role_id: "nobody".into(), ..options(&bao, Duration::from_secs(600)) };
    assert_eq!(code(&Vault::new(wrong).unwrap(), "lab/token", None).await, "secret.login_refused");

    let vault = Vault::new(options(&bao, Duration::ZERO)).unwrap();
    vault.resolve("lab/token", None).await.unwrap();
    let first = bao.tokens().await.remove(0)["accessor"].clone();
    bao.revoke(&first).await;
    assert_eq!(vault.resolve("lab/token", None).await.unwrap().0, "the-value");
    let second = bao.tokens().await.remove(0)["accessor"].clone();
    assert_ne!(first, second);
    // What is forbidden stays so, whoever is logged in: one more login, and an answer.
    assert_eq!(code(&vault, "other/x", None).await, "secret.forbidden");
    assert!(bao.tokens().await.len() <= 2);
}

#[tokio::test]
async fn a_lease_is_renewed_and_past_its_longest_life_there_is_a_new_token() {
    let bao = TestBao::start(3, 8).await;
    bao.write("lab/token", json!({"value": "the-value"})).await;
    let vault = Vault::new(options(&bao, Duration::ZERO)).unwrap();
    let keeping = tokio::spawn(vault.clone().keep());
    vault.resolve("lab/token", None).await.unwrap();
    let first = bao.tokens().await.remove(0);
    let start = Instant::now();
    // Beyond its lease of three seconds it is the same token, which was renewed.
    loop {
        let tokens = bao.tokens().await;
        if tokens
            .iter()
            .any(|token| token["accessor"] == first["accessor"] && !token["last_renewal"].is_null())
        {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "it was never renewed: {tokens:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Beyond its longest life there is another, before anyone needs it.
    loop {
        let tokens = bao.tokens().await;
        if tokens.iter().any(|token| token["accessor"] != first["accessor"]) {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "there was never another: {tokens:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(vault.resolve("lab/token", None).await.unwrap().0, "the-value");
    keeping.abort();
}

#[tokio::test]
async fn one_that_is_sealed_or_away_is_asked_again() {
    let bao = TestBao::start(3600, 7200).await;
    bao.write("lab/token", json!({"value": "the-value"})).await;
    bao.seal().await;
    let impatient = Vault::new(options(&bao, Duration::ZERO)).unwrap();
    assert_eq!(code(&impatient, "lab/token", None).await, "secret.unavailable");
    assert!(impatient.check().await.unwrap_err().public.contains("sealed"));
    let patient = Vault::new(options(&bao, PATIENCE)).unwrap();
    let asking = tokio::spawn(async move { patient.resolve("lab/token", None).await });
    // It has asked and waits.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!asking.is_finished());
    bao.unseal().await;
    assert_eq!(asking.await.unwrap().unwrap().0, "the-value");
    impatient.check().await.unwrap();
    let nobody = VaultOptions { url: "http://127.0.0.1:1".into(), ..options(&bao, Duration::ZERO) };
    assert_eq!(code(&Vault::new(nobody).unwrap(), "lab/token", None).await, "secret.unavailable");
}

const CANARY: &str = "canary-vault-51c07e9d";
const MAIN: &str = r#"
variable "token" {
  type      = string
  sensitive = true
}
resource "terraform_data" "x" {
  provisioner "local-exec" {
    command     = "echo \"the token is $TOKEN\" | tee said; env > environment"
    environment = { TOKEN = var.token }
  }
}
output "length" { value = length(nonsensitive(var.token)) }
output "leak" { value = "it is ${nonsensitive(var.token)}" }
"#;

#[tokio::test]
async fn a_lab_gets_its_secret_through_a_vault_that_is_sealed_in_mid_launch() {
    let bao = TestBao::start(3600, 7200).await;
    bao.write("lab/token", json!({"token": CANARY})).await;
    let url = bao.url();
    let settings = [
        ("FLOW_SECRETS_URL", url.as_str()),
        ("FLOW_SECRETS_ROLE_ID", bao.role_id.as_str()),
        ("FLOW_SECRETS_SECRET_ID", bao.secret_id.as_str()),
        ("FLOW_LOG_LEVEL", "trace"),
    ];
    let card = "[secrets]\ntoken = \"lab/token#token\"\n";
    let mut bench = Bench::with_card("vault", MAIN, "#!/bin/sh\nexit 2\n", card, &settings).await;
    let ann = Person::learner(&bench, "ann").await;
    bao.seal().await;
    let launch = ann.post("/labs/vault/launch", &json!({})).await.body;
    let run = launch["links"]["self"].as_str().unwrap().to_owned();
    ann.until(&run, |run| {
        run["tasks"].as_array().unwrap().iter().any(|task| task["name"] == "terraform_apply")
    })
    .await;
    bao.unseal().await;
    let run = bench.end(launch["id"].as_str().unwrap()).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    let outputs = bench.output(&run, "terraform_apply")["outputs"].clone();
    assert_eq!(outputs, json!({"length": CANARY.len(), "leak": "it is ***"}));
    let said = bench.appears("vault", "said").await;
    assert!(std::fs::read_to_string(&said).unwrap().contains(CANARY), "Terraform has it");
    let events = bench.events(launch["id"].as_str().unwrap()).await;
    assert!(!events.contains(CANARY), "{events}");

    // It is asked for again to take the lab down; without it nothing is.
    ann.done("/labs/vault/finish", json!({})).await;
    let seen = [bench.app.log(), bench.app.db.dump().await];
    let digits: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    for text in seen {
        assert!(
            !text.contains(CANARY) && !text.contains(&digits) && !text.contains(&bao.secret_id),
            "{text}"
        );
    }
    let operator = Person::operator(&bench).await;
    let health = operator.see("/health").await;
    assert_eq!(health["components"]["secrets"]["status"], "healthy", "{health}");
    assert!(!bao.tokens().await.is_empty());
    bench.app.terminate();
    assert_eq!(bao.tokens().await.len(), 0, "the service's token ends with it");
}
