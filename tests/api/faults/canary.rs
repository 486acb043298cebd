//! A secret that a step does its worst with: written by a program in every form, to its output, its errors and its
//! result. No form of it may be in the database, an answer, a stream, the log, the state directory or a process's
//! arguments.

use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::service::Service;
use crate::harness::TestDb;

const CANARY: &str = "kanari/Gelb \"7\" & 'süß'";

/// Writes what it reads in every form, to both outputs, and fails when told to.
const LEAK: &str = r#"
value=$(cat)
for out in 1 2; do
    printf 'plain %s\n' "$value" >&$out
    printf 'base64 %s\n' "$(printf %s "$value" | base64 -w 0)" >&$out
    printf 'json %s\n' "$(printf %s "$value" | jq -Rsc .)" >&$out
    printf 'url %s\n' "$(printf %s "$value" | jq -Rsr @uri)" >&$out
    printf 'shell %s\n' "$(printf %s "$value" | jq -Rsr @sh)" >&$out
done
sleep 0.5
exit $0
"#;

const FLOW: &str = r#"
name = "leaky"
[[tasks]]
name = "good"
task = "exec"
input = { program = "sh", args = ["-c", LEAK, "0"], stdin = "${secret:the/canary}" }
[[tasks]]
name = "copies"
task = "store_data"
input = { dataset = "leaks", rows = [{ copy = "${tasks.good.output.stdout}" }] }
[[tasks]]
name = "bad"
task = "exec"
input = { program = "sh", args = ["-c", LEAK, "3"], stdin = "${secret:the/canary}" }
"#;

fn forms() -> Vec<String> {
    let json = json!(CANARY).to_string();
    let url: String = CANARY
        .bytes()
        .map(|byte| match byte {
            byte if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    // A part of the value that no form changes is looked for as well.
    let forms = [CANARY.to_owned(), json.trim_matches('"').to_owned(), url, CANARY.replace('\'', "'\\''")];
    forms.into_iter().chain([STANDARD.encode(CANARY), "kanari".to_owned()]).collect()
}

/// Which forms are in the text.
fn found(text: &str) -> Vec<String> {
    forms().into_iter().filter(|form| text.contains(form.as_str())).collect()
}

/// Every file below a directory that holds a form of the secret.
fn files_with_it(dir: &Path, hits: &mut Vec<String>, seen: &mut usize) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files_with_it(&entry.path(), hits, seen);
        } else if kind.is_file() {
            *seen += 1;
            let text = String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).into_owned();
            hits.extend((!found(&text).is_empty()).then(|| entry.path().display().to_string()));
        }
    }
}

/// Command lines and environments of all processes here that belong to the service.
fn processes_with_it() -> Vec<String> {
    let mut hits = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.parse::<u32>().is_err() || name == std::process::id().to_string() {
            continue;
        }
        let text = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        hits.extend((!found(&text).is_empty()).then_some(text));
    }
    hits
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long"]
async fn no_form_of_a_secret_is_left_anywhere() {
    let db = TestDb::new().await;
    let config = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(config.path().join("flows")).unwrap();
    std::fs::create_dir_all(config.path().join("labs")).unwrap();
    let flow = FLOW.replace("LEAK", &json!(LEAK).to_string());
    std::fs::write(config.path().join("flows/leaky.toml"), flow).unwrap();
    let secrets = config.path().join("secrets.toml");
    std::fs::write(&secrets, format!("\"the/canary\" = {}\n", json!(CANARY))).unwrap();
    let secrets = format!("file://{}", secrets.display());
    let settings = [
        ("FLOW_CONFIG_DIR", config.path().to_str().unwrap()),
        ("FLOW_SECRETS_URL", &secrets),
        ("FLOW_EXEC_ALLOW", "sh=/bin/sh"),
        ("FLOW_LOG_LEVEL", "trace"),
    ];
    let service = Service::start_with(&db.url(), &settings).await;
    let path = service.start_flow(&json!("leaky"), &json!({})).await;
    let request = service.client.get(format!("{}{path}/events", service.base)).bearer_auth(&service.token);
    let stream = tokio::spawn(async move { request.send().await.unwrap().text().await.unwrap() });
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut arguments = Vec::new();
    let run = loop {
        arguments.extend(processes_with_it());
        let run = service.get(&path).await;
        if !run["finished_at"].is_null() {
            break run;
        }
        assert!(Instant::now() < deadline, "{run}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let why = service.get(&format!("{path}/why")).await;
    let polled = service.get(&format!("{path}/events?after=0")).await;
    let list = service.get("/flow-manager/runs").await;
    let stream = stream.await.unwrap();
    assert_eq!(run["error"]["step"], "bad", "{run}");
    let told = run["tasks"][0]["output"]["stdout"].as_str().unwrap();
    assert!(
        told.contains("plain ***") && told.contains("base64 ***") && stream.contains("plain ***"),
        "{told}"
    );

    let mut hits = Vec::new();
    let answers = json!([run, why, polled, list]).to_string();
    // The log of a failed step names it, so that an empty one would be noticed.
    assert!(service.log().contains("step=bad"));
    let all = [
        ("an answer", answers),
        ("the stream", stream),
        ("the log", service.log()),
        ("the database", db.dump().await),
    ];
    let mut bytes = 0;
    for (place, text) in &all {
        bytes += text.len();
        hits.extend(found(text).into_iter().map(|form| format!("{place}: {form}")));
    }
    let (mut files, mut seen) = (Vec::new(), 0);
    files_with_it(&service.state_dir(), &mut files, &mut seen);
    hits.extend(files.into_iter().map(|file| format!("the file {file}")));
    hits.extend(arguments.into_iter().map(|line| format!("a process: {line}")));
    println!(
        "a program wrote a secret in {} forms to both outputs and failed: looked through {bytes} bytes of answers, \
         stream, log and database, {seen} files of the state directory and every process's arguments; found: {hits:?}",
        forms().len()
    );
    assert_eq!(hits, Vec::<String>::new());
}
