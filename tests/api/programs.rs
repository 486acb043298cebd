//! Child processes, with the built executable as the wrapper: what the port `Programs` promises.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use flow_domain::ports::{ChildState, Exit, Limits, Lines, Program, Programs};
use flow_manager::driven::process::{ChildPrograms, ProcessOptions};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Heard {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Lines for Heard {
    fn stdout(&self, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }

    fn stderr(&self, line: &str) {
        self.0.lock().unwrap().push(format!("err: {line}"));
    }
}

struct Bench {
    dir: TempDir,
    programs: ChildPrograms,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let programs = ChildPrograms::new(ProcessOptions {
            executable: PathBuf::from(env!("CARGO_BIN_EXE_flow-manager")),
            records: dir.path().join("records"),
            allowed: BTreeMap::from([("true".to_owned(), PathBuf::from("/bin/true"))]),
        });
        Self { dir, programs }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn script(&self, script: &str) -> Program {
        Program {
            path: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            env: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
            cwd: self.dir.path().to_owned(),
            record_dir: "run/step/1".into(),
            stdin: None,
            grace: PATIENCE,
            timeout: PATIENCE,
            limits: Limits::default(),
        }
    }

    async fn run(&self, program: Program) -> flow_domain::Result<Exit> {
        self.programs.run(program, &Heard::default(), &CancellationToken::new()).await
    }

    fn record(&self) -> PathBuf {
        self.path("records/run/step/1")
    }

    /// Starts the program and lets go of it as soon as it has written `sign`.
    async fn abandon(&self, program: Program, sign: &str) {
        let sign = self.path(sign);
        tokio::select! {
            exit = self.run(program) => panic!("it ended: {exit:?}"),
            () = until(|| sign.exists()) => {}
        }
    }
}

async fn until(mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "it never came true");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A program of a test that failed half-way is not left running.
impl Drop for Bench {
    fn drop(&mut self) {
        let identity = read(&self.record().join("pid.json"));
        if let (true, Ok(identity)) =
            (std::thread::panicking(), serde_json::from_str::<serde_json::Value>(&identity))
        {
            let group = format!("-{}", identity["pid"]);
            let _ = std::process::Command::new("kill").args(["-9", "--", &group]).status();
        }
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn lives(pid: &str) -> bool {
    let stat = read(&PathBuf::from(format!("/proc/{}/stat", pid.trim())));
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

#[tokio::test]
async fn a_program_gets_what_it_was_given_and_nothing_else() {
    let bench = Bench::new();
    let heard = Heard::default();
    let mut program =
        bench.script("cat; env | grep -v '^PWD=\\|^SHLVL=\\|^_=' | sort; umask; echo oops >&2; exit 3");
    program.env.insert("SECRET".into(), "tell-nobody".into());
    program.stdin = Some(b"from stdin\n".to_vec());
    let exit = bench.programs.run(program, &heard, &CancellationToken::new()).await.unwrap();
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
async fn cancel_is_one_sigint_to_the_program_itself() {
    let bench = Bench::new();
    // Its child would tell if the signal had reached it too; the program's own trap runs when the child has ended.
    let program = bench.script(
        "trap 'echo parent' INT; \
         sh -c \"trap 'echo child' INT; touch up; while [ ! -e go ]; do sleep 0.02; echo tick; done\"; exit 7",
    );
    let (up, stop, go) = (bench.path("up"), bench.record().join("stop.json"), bench.path("go"));
    let (heard, cancel) = (Heard::default(), CancellationToken::new());
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
    let (up, heard, cancel) = (bench.path("up"), Heard::default(), CancellationToken::new());
    let (exit, ()) = tokio::join!(bench.programs.run(program, &heard, &cancel), async {
        until(|| up.exists()).await;
        cancel.cancel();
    });
    let exit = exit.unwrap();
    assert_eq!((exit.code, exit.signal, exit.cancelled), (None, Some(9), true));
    assert!(!lives(&read(&bench.path("child"))));
}

#[tokio::test]
async fn a_program_that_takes_too_long_is_stopped() {
    let bench = Bench::new();
    let mut program = bench.script("exec sleep 1000");
    program.timeout = Duration::from_millis(100);
    let exit = bench.run(program).await.unwrap();
    assert_eq!((exit.signal, exit.timed_out, exit.cancelled), (Some(2), true, false));
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
async fn a_program_goes_on_without_its_caller_and_is_found_again() {
    let bench = Bench::new();
    let script =
        "echo started; echo x >> starts; touch up; while [ ! -e go ]; do sleep 0.02; done; echo done";
    bench.abandon(bench.script(script), "up").await;
    assert_eq!(bench.programs.inspect(Path::new("run/step/1")), ChildState::Running);

    let (heard, cancel, go) = (Heard::default(), CancellationToken::new(), bench.path("go"));
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
async fn a_stop_is_not_sent_twice_by_a_second_caller() {
    let bench = Bench::new();
    let script =
        "trap 'echo int; touch got' INT; touch up; while [ ! -e go ]; do sleep 0.02; echo tick; done";
    let (up, got, go) = (bench.path("up"), bench.path("got"), bench.path("go"));
    let (first, second, cancel) = (Heard::default(), Heard::default(), CancellationToken::new());
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

#[tokio::test]
async fn a_start_that_was_prepared_and_not_made_is_called_off() {
    let bench = Bench::new();
    // An executable that ends at once stands for a wrapper that died before it took the lock.
    let broken = ChildPrograms::new(ProcessOptions {
        executable: "/bin/true".into(),
        records: bench.path("records"),
        allowed: BTreeMap::new(),
    });
    let program = bench.script("touch ran");
    let error = broken.run(program, &Heard::default(), &CancellationToken::new()).await.unwrap_err();
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
    let broken = ChildPrograms::new(ProcessOptions {
        executable: "/bin/true".into(),
        records: bench.path("records"),
        allowed: BTreeMap::new(),
    });
    let program = bench.script("touch ran");
    broken.run(program, &Heard::default(), &CancellationToken::new()).await.unwrap_err();
    std::fs::write(bench.record().join("begun"), "").unwrap();
    // Its parent is this test, and not the wrapper it was started by.
    let mut starter = std::process::Command::new(env!("CARGO_BIN_EXE_flow-manager"));
    starter.arg("child").arg(bench.record()).env("FLOW_CHILD_WRAPPER", "1");
    assert!(starter.status().unwrap().success());
    assert_eq!(bench.programs.inspect(Path::new("run/step/1")), ChildState::Lost);
    assert!(!bench.path("ran").exists() && !bench.record().join("spec.json").exists());
}

#[tokio::test]
async fn cancelled_before_its_start_it_is_never_started() {
    let bench = Bench::new();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let exit = bench.programs.run(bench.script("touch ran"), &Heard::default(), &cancel).await.unwrap();
    assert_eq!((exit.code, exit.signal, exit.cancelled), (None, None, true));
    assert!(!bench.path("ran").exists());
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
