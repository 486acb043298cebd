//! Cancelling, and taking too long.

use std::collections::BTreeMap;
use std::time::Duration;

use flow_domain::CancelSignal;
use flow_domain::ports::Programs;
use flow_manager::driven::process::{ChildPrograms, ProcessOptions};

use super::{Bench, Heard, lives, read, until};

#[tokio::test]
async fn cancel_is_one_sigint_to_the_program_itself() {
    let bench = Bench::new();
    // Its child would tell if the signal had reached it too; the program's own trap runs when the child has ended.
    let program = bench.script(
        "trap 'echo parent' INT; \
         sh -c \"trap 'echo child' INT; touch up; while [ ! -e go ]; do sleep 0.02; echo tick; done\"; exit 7",
    );
    let (up, stop, go) = (bench.path("up"), bench.record().join("stop.json"), bench.path("go"));
    let (heard, cancel) = (Heard::default(), CancelSignal::new());
    let (exit, ()) = tokio::join!(bench.programs.run(program, &heard, &cancel), async {
        until(|| up.exists()).await;
        cancel.cancel();
        until(|| stop.exists()).await;
        let before = heard.lines().len();
        until(|| heard.lines().len() > before + 20).await;
        std::fs::write(&go, "").unwrap();
    });
    let exit = exit.unwrap();
    assert_eq!((exit.code, exit.cancelled, exit.timed_out), (Some(7), true, false));
    assert_eq!(heard.lines().into_iter().filter(|line| line != "tick").collect::<Vec<_>>(), ["parent"]);
}

#[tokio::test]
async fn after_the_grace_the_whole_group_is_killed() {
    let bench = Bench::new();
    let mut program =
        bench.script("trap '' INT; sleep 1000 & echo $! > child; touch up; while :; do sleep 1; done");
    program.grace = Duration::from_millis(200);
    let (up, heard, cancel) = (bench.path("up"), Heard::default(), CancelSignal::new());
    let (exit, ()) = tokio::join!(bench.programs.run(program, &heard, &cancel), async {
        until(|| up.exists()).await;
        cancel.cancel();
    });
    let exit = exit.unwrap();
    assert_eq!((exit.code, exit.signal, exit.cancelled), (None, Some(9), true));
    assert!(!lives(&read(&bench.path("child"))));
}

#[tokio::test]
async fn by_force_the_whole_group_is_killed_at_once() {
    let bench = Bench::new();
    for in_its_grace in [false, true] {
        let mut program =
            bench.script("trap '' INT; sleep 1000 & echo $! > child; touch up; while :; do sleep 1; done");
        // Nobody waits for it.
        program.grace = Duration::from_secs(24 * 3600);
        program.record_dir = format!("run/step/{in_its_grace}").into();
        let stop = bench.path(&format!("records/run/step/{in_its_grace}/stop.json"));
        let (up, heard, cancel) = (bench.path("up"), Heard::default(), CancelSignal::new());
        let (exit, ()) = tokio::join!(bench.programs.run(program, &heard, &cancel), async {
            until(|| up.exists()).await;
            if in_its_grace {
                cancel.cancel();
                until(|| stop.exists()).await;
            }
            cancel.force();
        });
        let exit = exit.unwrap();
        assert_eq!((exit.code, exit.signal, exit.cancelled), (None, Some(9), true));
        assert!(!lives(&read(&bench.path("child"))));
        std::fs::remove_file(&up).unwrap();
    }
}

#[tokio::test]
async fn a_program_that_takes_too_long_is_stopped() {
    let bench = Bench::new();
    let mut program = bench.script("exec sleep 1000");
    program.timeout = Duration::from_millis(100);
    let exit = bench.run(program).await.unwrap();
    assert_eq!((exit.signal, exit.timed_out, exit.cancelled), (Some(2), true, false));
}

/// A shell without job control lets what it starts in the background ignore SIGINT.
#[tokio::test]
async fn a_service_that_ignores_sigint_starts_programs_that_do_not() {
    let bench = Bench::new();
    let executable = bench.path("in-background");
    let script = format!("#!/bin/sh\ntrap '' INT QUIT\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_flow-manager"));
    std::fs::write(&executable, script).unwrap();
    std::fs::set_permissions(&executable, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let programs = ChildPrograms::new(ProcessOptions {
        executable,
        records: bench.path("records"),
        allowed: BTreeMap::new(),
    });
    let mut program = bench.script("exec sleep 1000");
    program.timeout = Duration::from_millis(100);
    let exit = programs.run(program, &Heard::default(), &CancelSignal::new()).await.unwrap();
    assert_eq!((exit.signal, exit.timed_out), (Some(2), true));
}

#[tokio::test]
async fn a_stop_is_not_sent_twice_by_a_second_caller() {
    let bench = Bench::new();
    let script =
        "trap 'echo int; touch got' INT; touch up; while [ ! -e go ]; do sleep 0.02; echo tick; done";
    let (up, got, go) = (bench.path("up"), bench.path("got"), bench.path("go"));
    let (first, second, cancel) = (Heard::default(), Heard::default(), CancelSignal::new());
    tokio::select! {
        exit = bench.programs.run(bench.script(script), &first, &cancel) => panic!("it ended: {exit:?}"),
        () = async { until(|| up.exists()).await; cancel.cancel(); until(|| got.exists()).await } => {}
    }
    let (exit, ()) = tokio::join!(bench.programs.run(bench.script(script), &second, &cancel), async {
        // As many turns of the program are time enough for several looks of the second caller.
        until(|| second.lines().len() > first.lines().len() + 20).await;
        std::fs::write(&go, "").unwrap();
    });
    assert!(exit.unwrap().cancelled);
    assert_eq!(second.lines().iter().filter(|line| *line == "int").count(), 1);
}

#[tokio::test]
async fn cancelled_before_its_start_it_is_never_started() {
    let bench = Bench::new();
    let cancel = CancelSignal::new();
    cancel.cancel();
    let exit = bench.programs.run(bench.script("touch ran"), &Heard::default(), &cancel).await.unwrap();
    assert_eq!((exit.code, exit.signal, exit.cancelled), (None, None, true));
    assert!(!bench.path("ran").exists());
}
