//! The real terraform, or tofu, of this machine: what the port `Terraform` promises.

mod applying;
mod disk;
mod following;
pub mod sharing;
mod state;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use flow_domain::labs::{StateCopies, StateCopy};
use flow_domain::ports::{Terraform, TerraformEnd, TerraformJob, TerraformWatch};
use flow_domain::{CancelSignal, Error, Result, SessionId};
use flow_manager::driven::process::{ChildPrograms, ProcessOptions};
use flow_manager::driven::terraform::{Patience, TerraformCli, TerraformOptions};
use serde_json::Value;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// One object whose provisioner counts its runs, and one that waits for the file `go` when told to.
const TWO: &str = r#"
variable "secret" { default = "" }
variable "wait" { default = "no" }
resource "terraform_data" "first" {
  input = "one"
  provisioner "local-exec" { command = "echo x >> first.runs; env | sort > env.txt; tr '\\0' ' ' < /proc/$PPID/cmdline > cmdline.txt" }
}
resource "terraform_data" "second" {
  input = terraform_data.first.output
  provisioner "local-exec" {
    command = "echo said; echo x >> second.runs; if [ $WAIT = yes ]; then while [ ! -e go ]; do sleep 0.05; done; fi"
    environment = { WAIT = var.wait }
  }
}
output "greeting" { value = "hello ${terraform_data.second.output}" }
output "hidden" {
  value     = var.secret
  sensitive = true
}
"#;

#[derive(Default)]
struct Copies {
    kept: Mutex<Vec<StateCopy>>,
    refused: bool,
}

impl Copies {
    fn objects(&self) -> Option<usize> {
        let kept = self.kept.lock().unwrap();
        let state: Value = serde_json::from_slice(&kept.last()?.bytes).unwrap();
        Some(state["resources"].as_array().unwrap().len())
    }
}

#[async_trait]
impl StateCopies for Copies {
    fn ready(&self) -> Result<()> {
        match self.refused {
            true => Err(Error::unavailable("state.no_key", "Set FLOW_STATE_KEY.")),
            false => Ok(()),
        }
    }

    async fn keep(&self, _: SessionId, copy: StateCopy) -> Result<bool> {
        let mut kept = self.kept.lock().unwrap();
        let newer = kept.last().is_none_or(|last| copy.serial >= last.serial && copy.bytes != last.bytes);
        if newer {
            kept.push(copy);
        }
        Ok(newer)
    }

    async fn latest(&self, _: SessionId) -> Result<Option<StateCopy>> {
        Ok(self.kept.lock().unwrap().last().cloned())
    }
}

#[derive(Default)]
struct Watch {
    percents: Mutex<Vec<u8>>,
    lines: Mutex<Vec<String>>,
}

impl Watch {
    fn said(&self, words: &str) -> bool {
        self.lines.lock().unwrap().iter().any(|line| line.contains(words))
    }
}

impl TerraformWatch for Watch {
    fn progress(&self, percent: u8, _: &str) {
        self.percents.lock().unwrap().push(percent);
    }

    fn line(&self, line: &str) {
        self.lines.lock().unwrap().push(line.to_owned());
    }
}

fn options(search_path: String) -> TerraformOptions {
    TerraformOptions {
        binary: None,
        search_path,
        at_once: 2,
        places_dir: None,
        ca_file: None,
        patience: Patience::default(),
    }
}

struct Bench {
    _dir: TempDir,
    terraform: Arc<TerraformCli>,
    copies: Arc<Copies>,
    job: TerraformJob,
    watch: Watch,
    cancel: CancelSignal,
}

impl Bench {
    fn new(config: &str) -> Self {
        Self::with(config, std::env::var("PATH").unwrap(), Copies::default())
    }

    fn with(config: &str, search_path: String, copies: Copies) -> Self {
        let options = options(search_path);
        Self::set(config, copies, |programs, copies| TerraformCli::new(options, programs, copies))
    }

    /// With a Terraform of the test's own making.
    fn set(
        config: &str,
        copies: Copies,
        terraform: impl FnOnce(Arc<ChildPrograms>, Arc<Copies>) -> TerraformCli,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("main.tf"), config).unwrap();
        let programs = Arc::new(ChildPrograms::new(ProcessOptions {
            executable: PathBuf::from(env!("CARGO_BIN_EXE_flow-manager")),
            records: dir.path().join("records"),
            allowed: BTreeMap::new(),
        }));
        let copies = Arc::new(copies);
        let job = TerraformJob {
            session: SessionId::new(),
            of: None,
            dir: dir.path().to_owned(),
            variables: BTreeMap::new(),
            timeout: PATIENCE,
            grace: PATIENCE,
        };
        let terraform = Arc::new(terraform(programs, copies.clone()));
        Self { _dir: dir, terraform, copies, job, watch: Watch::default(), cancel: CancelSignal::new() }
    }

    fn waiting(config: &str) -> Self {
        let mut bench = Self::new(config);
        bench.job.variables.insert("wait".into(), "yes".into());
        bench
    }

    async fn apply(&self) -> Result<Value, TerraformEnd> {
        self.terraform.apply(&self.job, &self.watch, &self.cancel).await
    }

    async fn destroy(&self) -> Result<(), TerraformEnd> {
        self.terraform.destroy(&self.job, &self.watch, &CancelSignal::new()).await
    }

    /// Lets go of an apply while its second object is being made.
    async fn abandon(&self) {
        let second = self.path("second.runs");
        let told = || !self.watch.percents.lock().unwrap().is_empty();
        tokio::select! {
            end = self.apply() => panic!("it ended: {end:?}"),
            () = until(|| second.exists() && told()) => {}
        }
    }

    /// Kills the wrapper of an apply and then Terraform, as a machine that loses its power does.
    async fn kill_terraform(&self) {
        let identity: Value = serde_json::from_str(&self.read(".flow/apply/pid.json")).unwrap();
        for pid in ["session", "pid"].map(|name| identity[name].to_string()) {
            assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
            until(|| !Path::new(&format!("/proc/{pid}/exe")).exists()).await;
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.job.dir.join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn objects(&self) -> usize {
        let state: Value = serde_json::from_str(&self.read("terraform.tfstate")).unwrap();
        state["resources"].as_array().unwrap().len()
    }
}

async fn until(mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "it never came true");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
