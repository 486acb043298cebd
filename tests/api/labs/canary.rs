//! A lab with a secret variable: the secret reaches Terraform and is nowhere else.

use std::path::Path;

use serde_json::json;

use super::bench::Bench;

const CANARY: &str = "canary-7f3a9c1e5b";

const MAIN: &str = r#"
variable "token" {
  type      = string
  sensitive = true
}
resource "terraform_data" "x" {
  input = var.token
  provisioner "local-exec" {
    command     = "echo \"the token is $TOKEN\"; printf '%s' \"$TOKEN\" | wc -c > length; cat /proc/*/cmdline 2> /dev/null | tr '\\0' ' ' > cmdlines"
    environment = { TOKEN = var.token }
  }
}
output "token" {
  value     = terraform_data.x.output
  sensitive = true
}
output "length" { value = length(nonsensitive(var.token)) }
"#;

const FLOW: &str = r#"
name = "secret-lab"
description = "A lab with a secret."
allow = ["learner"]
[input]
type = "object"
properties.lab = { type = "string" }
[[tasks]]
name = "create_directory"
input = { lab = "${input.lab}" }
[[tasks]]
name = "open_session"
input = { lab = "${input.lab}" }
[[tasks]]
name = "terraform_apply"
input = { lab = "${input.lab}", variables = { token = "${secret:lab/token}" } }
[[tasks]]
name = "fail"
task = "exec"
input = { program = "gone" }
"#;

/// Files below `dir` that hold the secret.
fn holding(dir: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            holding(&path, found);
        } else if std::fs::read(&path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(CANARY)) {
            found.push(path.display().to_string());
        }
    }
}

#[tokio::test]
async fn a_secret_of_a_lab_is_nowhere_but_in_its_state() {
    let secrets = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secrets.path(), format!("\"lab/token\" = \"{CANARY}\"\n")).unwrap();
    let url = format!("file://{}", secrets.path().display());
    let settings = [("FLOW_SECRETS_URL", url.as_str()), ("FLOW_LOG_LEVEL", "trace"), ("flow", FLOW)];
    let bench = Bench::with_card("secret", MAIN, "#!/bin/sh\nexit 2\n", "", &settings).await;

    // The last step fails, so that the undo destroys, which needs the secret again.
    let id = bench.begin(json!("secret-lab"), json!({"lab": "secret"})).await;
    let length = bench.appears("secret", "cmdlines").await.with_file_name("length");
    let dir = length.parent().unwrap().to_owned();
    let copy = tempfile::tempdir().unwrap();
    for file in ["length", "cmdlines"] {
        std::fs::hard_link(dir.join(file), copy.path().join(file)).ok();
    }
    let run = bench.end(&id).await;
    assert_eq!(run["status"], "undone", "{run}");
    assert_eq!(std::fs::read_to_string(copy.path().join("length")).unwrap().trim(), CANARY.len().to_string());
    assert_eq!(bench.output(&run, "terraform_apply")["outputs"], json!({"length": CANARY.len()}));

    let cmdlines = std::fs::read_to_string(copy.path().join("cmdlines")).unwrap();
    assert!(cmdlines.contains("apply -auto-approve"), "{cmdlines}");
    let seen =
        [run.to_string(), bench.events(&id).await, bench.app.log(), cmdlines, bench.app.db.dump().await];
    // Bytes are dumped as hexadecimal digits.
    let digits: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    for text in seen {
        assert!(!text.contains(CANARY) && !text.contains(&digits), "{text}");
    }
    let mut found = Vec::new();
    holding(&bench.app.state_dir(), &mut found);
    assert!(found.is_empty(), "left on the disk: {found:?}");
}
