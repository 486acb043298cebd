//! Programs whose caller or wrapper died, and starts that were not made.

use std::collections::BTreeMap;
use std::path::Path;

use flow_domain::CancelSignal;
use flow_domain::ports::{ChildState, Programs};
use flow_manager::driven::process::{ChildPrograms, ProcessOptions};

use super::{Bench, Heard, lives, read, until};

#[tokio::test]
async fn a_program_goes_on_without_its_caller_and_is_found_again() {
    let bench = Bench::new();
    let script =
        "echo started; echo x >> starts; touch up; while [ ! -e go ]; do sleep 0.02; done; echo done";
    bench.abandon(bench.script(script), "up").await;
    assert_eq!(bench.programs.inspect(Path::new("run/step/1")), ChildState::Running);

    let (heard, cancel, go) = (Heard::default(), CancelSignal::new(), bench.path("go"));
    let (exit, ()) = tokio::join!(bench.programs.run(bench.script(script), &heard, &cancel), async {
        until(|| heard.lines() == ["started"]).await;
        std::fs::write(&go, "").unwrap();
    });
    assert_eq!(exit.unwrap().code, Some(0));
    assert_eq!(heard.lines(), ["started", "done"]);
    assert_eq!(read(&bench.path("starts")), "x\n");
}

#[tokio::test]
async fn a_program_that_ended_meanwhile_is_finished_from_its_files() {
    let bench = Bench::new();
    let script = "echo x >> starts; touch up; while [ ! -e go ]; do sleep 0.02; done; echo done; exit 4";
    bench.abandon(bench.script(script), "up").await;
    std::fs::write(bench.path("go"), "").unwrap();
    until(|| bench.record().join("exit.json").exists()).await;
    match bench.programs.inspect(Path::new("run/step/1")) {
        ChildState::Exited(exit) => assert_eq!((exit.code, exit.stdout.as_str()), (Some(4), "done\n")),
        other => panic!("{other:?}"),
    }
    let exit = bench.run(bench.script(script)).await.unwrap();
    assert_eq!(exit.code, Some(4));
    assert_eq!(read(&bench.path("starts")), "x\n");
}

#[tokio::test]
async fn a_program_whose_wrapper_was_killed_is_watched_and_then_lost() {
    let bench = Bench::new();
    let script = "echo $PPID > wrapper; sleep 1000 & echo $! > child; touch up; while [ ! -e go ]; do sleep 0.02; done";
    bench.abandon(bench.script(script), "up").await;
    let wrapper = read(&bench.path("wrapper"));
    let killed = std::process::Command::new("kill").args(["-9", wrapper.trim()]).status().unwrap();
    assert!(killed.success());
    until(|| !lives(&wrapper)).await;
    assert_eq!(bench.programs.inspect(Path::new("run/step/1")), ChildState::Running);

    std::fs::write(bench.path("go"), "").unwrap();
    let error = bench.run(bench.script(script)).await.unwrap_err();
    assert_eq!(error.code, "program.lost");
    assert_eq!(bench.programs.inspect(Path::new("run/step/1")), ChildState::Lost);
    assert!(!lives(&read(&bench.path("child"))), "what it left behind goes with it");
}

/// An executable that ends at once stands for a wrapper that died before it took the lock.
fn broken(bench: &Bench) -> ChildPrograms {
    ChildPrograms::new(ProcessOptions {
        executable: "/bin/true".into(),
        records: bench.path("records"),
        allowed: BTreeMap::new(),
    })
}

#[tokio::test]
async fn a_start_that_was_prepared_and_not_made_is_called_off() {
    let bench = Bench::new();
    let broken = broken(&bench);
    let program = bench.script("touch ran");
    let error = broken.run(program, &Heard::default(), &CancelSignal::new()).await.unwrap_err();
    assert_eq!(error.code, "program.not_started");
    assert!(bench.record().join("spec.json").exists());
    assert_eq!(bench.programs.inspect(Path::new("run/step/1")), ChildState::NeverStarted);

    // The wrapper that comes late finds nothing to start.
    let late = std::process::Command::new(env!("CARGO_BIN_EXE_flow-manager"))
        .arg("child")
        .arg(bench.record())
        .status();
    assert!(late.unwrap().success());
    assert!(!bench.path("ran").exists());

    // And the same record may be used for a new start.
    assert_eq!(bench.run(bench.script("touch ran")).await.unwrap().code, Some(0));
    assert!(bench.path("ran").exists());
}

#[tokio::test]
async fn a_starter_whose_wrapper_is_dead_starts_nothing() {
    let bench = Bench::new();
    let broken = broken(&bench);
    let program = bench.script("touch ran");
    broken.run(program, &Heard::default(), &CancelSignal::new()).await.unwrap_err();
    std::fs::write(bench.record().join("begun"), "").unwrap();
    // Its parent is this test, and not the wrapper it was started by.
    let mut starter = std::process::Command::new(env!("CARGO_BIN_EXE_flow-manager"));
    starter.arg("child").arg(bench.record()).env("FLOW_CHILD_WRAPPER", i32::MAX.to_string());
    assert!(starter.status().unwrap().success());
    assert_eq!(bench.programs.inspect(Path::new("run/step/1")), ChildState::Lost);
    assert!(!bench.path("ran").exists() && !bench.record().join("spec.json").exists());
}
