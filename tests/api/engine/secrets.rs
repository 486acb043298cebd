//! A canary: no form of a secret is anywhere in the database or in an event.

use std::slice;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use flow_domain::flows::{Outcome, RunStatus};
use serde_json::{Value, json};

use super::{Process, SECRET, Script, count, eager, fail, pg_store};
use crate::harness::TestDb;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_form_of_a_secret_is_stored_or_shown() {
    let db = TestDb::new().await;
    let forms = [SECRET.to_owned(), STANDARD.encode(SECRET), URL_SAFE_NO_PAD.encode(SECRET)];
    let told = forms.clone();
    let leaks = Script::new("leaks").policy(eager(2)).runs(move |context, input| {
        let told = told.clone();
        async move {
            assert_eq!(input["password"], SECRET, "the task gets the value");
            for form in &told {
                context.line(&format!("using {form} now"));
                context.progress(50, &format!("with {form}"));
            }
            if context.attempt == 1 {
                return super::retry(&told[1]);
            }
            Outcome::Done(json!({"told": told, "echo": input, told[0].clone(): 1}))
        }
    });
    let undone = forms.clone();
    let leaks = leaks.undoes(move |context, input| {
        let form = undone[(context.attempt as usize) % undone.len()].clone();
        assert_eq!(input["password"], SECRET, "the undo gets the value");
        async move {
            context.line(&form);
            super::retry(&form)
        }
    });
    let (leaks, broken) = (
        leaks.made(),
        Script::new("broken").runs(|_, input| async move { fail(&format!("got {}", input["copy"])) }),
    );
    let flow = json!({"name": "leaky", "tasks": [
        {"name": "leaks", "input": {"password": "${secret:the/canary}", "plain": 1}},
        {"name": "broken", "input": {"copy": "${tasks.leaks.output}"}}]});
    let store = Arc::new(pg_store(&db));
    let process = Process::start_with(store, &[leaks.clone(), broken.made()], 4, vec![flow]).await;
    let run = process.run(Value::from("leaky")).await;
    assert_eq!((run.head.status, count(&leaks.runs), count(&leaks.undos)), (RunStatus::UndoFailed, 2, 3));
    assert_eq!(run.steps[0].secrets[0].path, "the/canary");

    let (everything, events) = (db.dump().await, json!(process.events(run.id).await).to_string());
    assert!(everything.contains("the/canary") && everything.contains("***"), "the dump has what it should");
    assert!(events.contains("using *** now"), "{events}");
    for form in &forms {
        assert!(!everything.contains(form.as_str()), "{form} is in the database");
        assert!(!events.contains(form.as_str()), "{form} is in an event");
    }
}

#[tokio::test]
async fn a_secret_that_is_not_there_fails_its_step_and_a_request_may_name_none() {
    let task = Script::new("task").made();
    let lost = json!({"name": "lost", "tasks": [{"name": "task", "input": {"a": "${secret:not/there}"}}]});
    let store = Arc::new(flow_manager::driven::memory::MemoryFlowStore::default());
    let process = Process::start_with(store, slice::from_ref(&task), 4, vec![lost.clone()]).await;
    let run = process.run(Value::from("lost")).await;
    assert_eq!((run.head.status, super::code(&run)), (RunStatus::Failed, "secret.unknown"));
    assert_eq!(count(&task.runs), 0);
    let refused = process.flows.start(&process.caller, lost, json!({}), None).await.err().unwrap();
    assert_eq!(refused.faults[0].code, "reference.secret_forbidden");
}
