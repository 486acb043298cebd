//! Child processes, with the built executable as the wrapper: what the port `Programs` promises.

mod following;
mod running;
mod stopping;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use flow_domain::CancelSignal;
use flow_domain::ports::{Exit, Limits, Lines, Program, Programs};
use flow_manager::driven::process::{ChildPrograms, ProcessOptions};
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

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
            confine: None,
        }
    }

    async fn run(&self, program: Program) -> flow_domain::Result<Exit> {
        self.programs.run(program, &Heard::default(), &CancelSignal::new()).await
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
