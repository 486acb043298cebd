//! The task `exec` in a running service.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bench::{Bench, PATIENCE};

#[tokio::test]
async fn a_listed_program_runs_and_any_other_is_refused() {
    let bench = Bench::shipped().await;
    let exec = async |input: Value| bench.exec(input).await;

    let run = exec(json!({"program": "cat", "stdin": "in\n"})).await;
    assert_eq!(bench.output(&run, "exec"), json!({"exit_code": 0, "stdout": "in\n", "stderr": ""}), "{run}");
    // Arguments are a list: nothing reads them but the program.
    let run = exec(json!({"program": "cat", "args": ["/dev/null; echo injected"]})).await;
    assert_eq!(run["error"]["code"], "exec.failed", "{run}");
    let run = exec(json!({"program": "sh", "args": ["-c", "env; exit 0"]})).await;
    let environment = bench.output(&run, "exec")["stdout"].as_str().unwrap().to_owned();
    assert!(!environment.contains("FLOW_") && environment.contains("LANG=C.UTF-8"), "{environment}");

    for (input, code) in [
        (json!({"program": "rm"}), "program.not_allowed"),
        (json!({"program": "/bin/cat"}), "program.not_allowed"),
        (json!({"program": "gone"}), "program.not_started"),
        (json!({"program": "sh", "args": ["-c", "echo no luck >&2; exit 4"]}), "exec.failed"),
        (json!({"program": "sh", "args": ["-c", "exec sleep 1000"], "timeout_s": 1}), "exec.timed_out"),
    ] {
        let run = exec(input).await;
        assert_eq!((&run["status"], &run["error"]["code"]), (&json!("failed"), &json!(code)), "{run}");
    }
}

#[tokio::test]
async fn a_program_is_not_started_twice_when_its_service_dies() {
    let mut bench = Bench::shipped().await;
    let (starts, go) = (bench.path("starts"), bench.path("go"));
    let script = format!(
        "echo x >> {}; while [ ! -e {} ]; do sleep 0.05; done; echo done",
        starts.display(),
        go.display()
    );
    let flow = json!({"name": "one", "tasks": [{"name": "exec", "input": {"program": "sh", "args": ["-c", script]}}]});
    let id = bench.begin(flow, json!({})).await;
    let start = Instant::now();
    while !starts.exists() {
        assert!(start.elapsed() < PATIENCE, "it never started");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bench.app.kill_and_restart().await;
    std::fs::write(&go, "").unwrap();
    let run = bench.end(&id).await;
    assert_eq!(bench.output(&run, "exec")["stdout"], "done\n", "{run}");
    assert_eq!(std::fs::read_to_string(&starts).unwrap(), "x\n");
}
