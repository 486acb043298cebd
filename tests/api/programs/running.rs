//! What a program is given, what it may do and what it leaves.

use std::path::Path;

use flow_domain::CancelSignal;
use flow_domain::ports::{ChildState, Program, Programs};

use super::{Bench, Heard, lives, read, until};

#[tokio::test]
async fn a_program_gets_what_it_was_given_and_nothing_else() {
    let bench = Bench::new();
    let heard = Heard::default();
    let mut program =
        bench.script("cat; env | grep -v '^PWD=\\|^SHLVL=\\|^_=' | sort; umask; echo oops >&2; exit 3");
    program.env.insert("SECRET".into(), "tell-nobody".into());
    program.stdin = Some(b"from stdin\n".to_vec());
    let exit = bench.programs.run(program, &heard, &CancelSignal::new()).await.unwrap();
    assert_eq!((exit.code, exit.signal, exit.timed_out, exit.cancelled), (Some(3), None, false, false));
    assert_eq!(exit.stdout, "from stdin\nPATH=/usr/bin:/bin\nSECRET=tell-nobody\n0077\n");
    assert_eq!(exit.stderr, "oops\n");
    assert_eq!(
        heard.lines().iter().filter(|line| !line.starts_with("err: ")).cloned().collect::<Vec<_>>(),
        ["from stdin", "PATH=/usr/bin:/bin", "SECRET=tell-nobody", "0077"]
    );
    assert!(heard.lines().contains(&"err: oops".to_owned()));
}

#[tokio::test]
async fn secrets_are_neither_on_a_command_line_nor_left_in_the_record() {
    let bench = Bench::new();
    let mut program = bench
        .script("touch up; cat /proc/$PPID/cmdline /proc/$$/cmdline; while [ ! -e go ]; do sleep 0.02; done");
    program.env.insert("SECRET".into(), "tell-nobody".into());
    program.stdin = Some(b"tell-nobody".to_vec());
    let (up, go, record) = (bench.path("up"), bench.path("go"), bench.record());
    let (exit, ()) = tokio::join!(bench.run(program), async {
        until(|| up.exists() && !record.join("spec.json").exists()).await;
        assert!(!record.join("stdin").exists());
        std::fs::write(&go, "").unwrap();
    });
    let cmdlines = exit.unwrap().stdout;
    assert!(cmdlines.contains("child") && !cmdlines.contains("tell-nobody"), "{cmdlines}");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_an_error_and_nothing_was_run() {
    let bench = Bench::new();
    let program = Program { path: "/no/such/program".into(), ..bench.script("") };
    let error = bench.run(program).await.unwrap_err();
    assert_eq!(error.code, "program.not_started");
    assert!(!error.public.contains("/no/such"), "paths are for the log: {}", error.public);
    assert_eq!(bench.programs.inspect(Path::new("run/step/1")), ChildState::NeverStarted);
}

#[tokio::test]
async fn what_a_program_leaves_behind_is_gone_when_it_has_ended() {
    let bench = Bench::new();
    let exit = bench
        .run(bench.script("sleep 1000 & echo $!; (sleep 1000 & echo $! > grandchild); exit 0"))
        .await
        .unwrap();
    assert_eq!(exit.code, Some(0));
    assert!(!lives(&exit.stdout));
    assert!(!lives(&read(&bench.path("grandchild"))));
}

#[tokio::test]
async fn a_limit_on_a_file_holds() {
    let bench = Bench::new();
    let mut program = bench.script("head -c 100000 /dev/zero > big");
    program.limits.file_bytes = Some(4096);
    let exit = bench.run(program).await.unwrap();
    assert_ne!(exit.code, Some(0));
    assert_eq!(std::fs::metadata(bench.path("big")).unwrap().len(), 4096);
}

#[tokio::test]
async fn only_listed_programs_are_allowed() {
    let bench = Bench::new();
    assert_eq!(bench.programs.allowed("true").unwrap(), Path::new("/bin/true"));
    let error = bench.programs.allowed("../true").unwrap_err();
    assert_eq!(error.kind, flow_domain::Kind::Forbidden);
}

#[tokio::test]
async fn a_record_never_lies_outside_the_services_own_directory() {
    let bench = Bench::new();
    let program = Program { record_dir: "../escape".into(), ..bench.script("touch ran") };
    assert_eq!(bench.run(program).await.unwrap_err().kind, flow_domain::Kind::Internal);
    assert!(!bench.path("escape").exists());
    assert!(!bench.path("ran").exists());
}
