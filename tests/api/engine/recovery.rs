//! Once-only tasks that are asked what became of them and do not answer.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use flow_domain::flows::{Effect, Outcome, Policy, RunStatus, StepStatus};

use serde_json::{Value, json};

use super::{MemoryFlowStore, Process, Script, code, count, flow, with};

#[tokio::test]
#[ignore = "waits for a minute of silence"]
async fn one_that_never_answers_is_unknown_after_a_minute_and_is_not_run_again() {
    let before = Script::new("before").undoes(|_, _| async { Outcome::Done(Value::Null) }).made();
    let silent = Script::new("silent")
        .effect(Effect::Once)
        .policy(Policy { grace: Duration::from_secs(1), ..Policy::default() })
        .runs(|_, _| pending())
        .mute()
        .made();
    let process =
        Process::start(Arc::new(MemoryFlowStore::default()), &[before.clone(), silent.clone()]).await;
    let begun = tokio::time::Instant::now();
    let mut flow = flow(&["before", "silent"]);
    flow["tasks"][1] = with(flow["tasks"][1].take(), json!({"timeout_s": 5}));
    let id = process.begin(flow).await;
    let run = loop {
        let run = process.read(id).await;
        if run.head.status.is_final() {
            break run;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(begun.elapsed() < Duration::from_secs(600), "it is waited for without an end");
    };
    assert_eq!(run.steps[1].status, StepStatus::Unknown);
    assert_eq!((run.head.status, code(&run)), (RunStatus::Undone, "step.unknown"));
    assert_eq!((count(&silent.runs), count(&silent.recoveries), count(&before.undos)), (1, 1, 1));
}
