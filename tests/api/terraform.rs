//! The real terraform, or tofu, of this machine: what the port `Terraform` promises.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use flow_domain::labs::{StateCopies, StateCopy};
use flow_domain::ports::{Terraform, TerraformEnd, TerraformJob, TerraformWatch};
use flow_domain::{Error, Result, SessionId};
use flow_manager::driven::process::{ChildPrograms, ProcessOptions};
use flow_manager::driven::terraform::{TerraformCli, TerraformOptions};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

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
        let newer = kept.last().is_none_or(|last| copy.serial > last.serial);
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

struct Bench {
    dir: TempDir,
    terraform: TerraformCli,
    copies: Arc<Copies>,
    job: TerraformJob,
    watch: Watch,
    cancel: CancellationToken,
}

impl Bench {
    fn new(config: &str) -> Self {
        Self::with(config, std::env::var("PATH").unwrap(), Copies::default())
    }

    fn with(config: &str, search_path: String, copies: Copies) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("main.tf"), config).unwrap();
        let programs = Arc::new(ChildPrograms::new(ProcessOptions {
            executable: PathBuf::from(env!("CARGO_BIN_EXE_flow-manager")),
            records: dir.path().join("records"),
            allowed: BTreeMap::new(),
        }));
        let copies = Arc::new(copies);
        let options = TerraformOptions { binary: None, search_path, at_once: 2 };
        let job = TerraformJob {
            session: SessionId::new(),
            dir: dir.path().to_owned(),
            variables: BTreeMap::new(),
            timeout: PATIENCE,
            grace: PATIENCE,
        };
        let terraform = TerraformCli::new(options, programs, copies.clone());
        Self { dir, terraform, copies, job, watch: Watch::default(), cancel: CancellationToken::new() }
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
        self.terraform.destroy(&self.job, &self.watch, &CancellationToken::new()).await
    }

    /// Lets go of an apply while its second object is being made.
    async fn abandon(&self) {
        let second = self.path("second.runs");
        tokio::select! {
            end = self.apply() => panic!("it ended: {end:?}"),
            () = until(|| second.exists()) => {}
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
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

#[tokio::test]
async fn apply_makes_and_destroy_takes_down() {
    let mut bench = Bench::new(TWO);
    bench.job.variables.insert("secret".into(), "tell-nobody".into());
    let outputs = bench.apply().await.unwrap();
    assert_eq!(outputs, json!({"greeting": "hello one"}));
    assert_eq!((bench.objects(), bench.copies.objects()), (2, Some(2)));
    assert!(bench.watch.said("said"), "a provisioner's output is passed on");

    let percents = bench.watch.percents.lock().unwrap().clone();
    assert!(percents.is_sorted() && percents.last() == Some(&100), "{percents:?}");
    assert!(percents.iter().any(|percent| (11..95).contains(percent)), "{percents:?}");

    bench.destroy().await.unwrap();
    assert_eq!((bench.objects(), bench.copies.objects()), (0, Some(0)));
    bench.destroy().await.unwrap();
}

#[tokio::test]
async fn terraform_sees_an_environment_of_ours_and_no_secret_is_on_its_command_line() {
    let mut bench = Bench::new(TWO);
    bench.job.variables.insert("secret".into(), "tell-nobody".into());
    bench.apply().await.unwrap();
    let environment = bench.read("env.txt");
    let mut names: Vec<&str> =
        environment.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    // What terraform and the shell add themselves.
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_", "TF_REATTACH_PROVIDERS"].contains(name));
    let ours = [
        "CHECKPOINT_DISABLE",
        "HOME",
        "PATH",
        "TF_CLI_CONFIG_FILE",
        "TF_INPUT",
        "TF_IN_AUTOMATION",
        "TF_VAR_secret",
    ];
    assert_eq!(names, ours);
    assert!(bench.read("cmdline.txt").contains("apply -auto-approve -json"));
    assert!(!bench.read("cmdline.txt").contains("tell-nobody"));
    assert!(!bench.watch.said("tell-nobody"));
}

#[tokio::test]
async fn a_broken_configuration_touches_nothing() {
    let bench = Bench::new("resource \"terraform_data\" \"x\" {");
    match bench.apply().await {
        Err(TerraformEnd::Untouched(why)) => assert!(why.contains("Unclosed configuration block"), "{why}"),
        other => panic!("{other:?}"),
    }
    bench.destroy().await.unwrap();
}

#[tokio::test]
async fn a_failing_object_is_a_failure_that_destroy_takes_back() {
    let bench = Bench::new(
        "resource \"terraform_data\" \"x\" {\n provisioner \"local-exec\" { command = \"echo no luck; exit 3\" }\n}",
    );
    match bench.apply().await {
        Err(TerraformEnd::Failed(why)) => assert!(why.contains("local-exec provisioner error"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.copies.objects(), Some(1), "the state is copied after a failure too");
    bench.destroy().await.unwrap();
    assert_eq!(bench.objects(), 0);
}

#[tokio::test]
async fn without_a_terraform_or_a_place_for_copies_nothing_is_touched() {
    let bench = Bench::with(TWO, "/nowhere".into(), Copies::default());
    match bench.apply().await {
        Err(TerraformEnd::Untouched(why)) => {
            assert!(why.starts_with("This machine has no terraform or tofu"), "{why}")
        }
        other => panic!("{other:?}"),
    }
    bench.destroy().await.unwrap();

    let copies = Copies { refused: true, ..Copies::default() };
    let bench = Bench::with(TWO, std::env::var("PATH").unwrap(), copies);
    match bench.apply().await {
        Err(TerraformEnd::Untouched(why)) => assert_eq!(why, "Set FLOW_STATE_KEY."),
        other => panic!("{other:?}"),
    }
    assert!(!bench.path("terraform.tfstate").exists() && !bench.path("first.runs").exists());
    bench.destroy().await.unwrap();
}

#[tokio::test]
async fn cancel_stops_an_apply_and_destroy_takes_down_what_it_made() {
    let bench = Bench::waiting(TWO);
    let second = bench.path("second.runs");
    let (end, ()) = tokio::join!(bench.apply(), async {
        until(|| second.exists()).await;
        bench.cancel.cancel();
    });
    assert!(matches!(end, Err(TerraformEnd::Stopped { timed_out: false })), "{end:?}");
    assert_eq!((bench.objects(), bench.copies.objects()), (2, Some(2)));
    bench.destroy().await.unwrap();
    assert_eq!(bench.objects(), 0);
}

#[tokio::test]
async fn the_state_is_copied_while_an_apply_still_runs() {
    let bench = Bench::waiting(TWO);
    let go = bench.path("go");
    let (end, ()) = tokio::join!(bench.apply(), async {
        until(|| bench.copies.objects() == Some(1)).await;
        assert!(!go.exists());
        std::fs::write(&go, "").unwrap();
    });
    end.unwrap();
}

#[tokio::test]
async fn an_apply_that_outlived_its_service_is_followed_to_its_end() {
    let bench = Bench::waiting(TWO);
    bench.abandon().await;
    let (outputs, ()) = tokio::join!(bench.apply(), async {
        until(|| bench.watch.said("said")).await;
        std::fs::write(bench.path("go"), "").unwrap();
    });
    assert_eq!(outputs.unwrap(), json!({"greeting": "hello one"}));
    assert_eq!((bench.read("first.runs"), bench.read("second.runs")), ("x\n".to_owned(), "x\n".to_owned()));
}

#[tokio::test]
async fn destroy_stops_an_apply_that_outlived_its_service() {
    let bench = Bench::waiting(TWO);
    bench.abandon().await;
    bench.destroy().await.unwrap();
    assert!(bench.watch.said("Waiting for an earlier terraform apply to end"));
    assert_eq!(bench.objects(), 0);
    assert!(!bench.path("go").exists());
}

#[tokio::test]
async fn an_apply_that_was_killed_with_its_wrapper_is_in_doubt_and_can_be_taken_down() {
    let bench = Bench::waiting(TWO);
    bench.abandon().await;
    let identity: Value = serde_json::from_str(&bench.read(".flow/apply/pid.json")).unwrap();
    for pid in ["session", "pid"].map(|name| identity[name].to_string()) {
        assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
        until(|| !Path::new(&format!("/proc/{pid}/exe")).exists()).await;
    }
    match bench.apply().await {
        Err(TerraformEnd::Failed(why)) => assert!(why.contains("in doubt"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.read("first.runs"), "x\n", "nothing was applied again");
    bench.destroy().await.unwrap();
    assert_eq!(bench.objects(), 0);
}

#[tokio::test]
async fn an_emptied_state_is_restored_and_nothing_is_made_twice() {
    let bench = Bench::new(TWO);
    bench.apply().await.unwrap();
    for broken in [Some(""), Some("{\"version\":"), None] {
        match broken {
            Some(text) => std::fs::write(bench.path("terraform.tfstate"), text).unwrap(),
            None => std::fs::remove_file(bench.path("terraform.tfstate")).unwrap(),
        }
        bench.apply().await.unwrap();
        assert_eq!(bench.read("first.runs"), "x\n");
    }
    std::fs::write(bench.path("terraform.tfstate"), "").unwrap();
    bench.destroy().await.unwrap();
    assert_eq!(bench.objects(), 0);
}

#[tokio::test]
async fn a_state_that_is_lost_with_its_copy_is_never_taken_for_nothing() {
    let bench = Bench::new(TWO);
    bench.apply().await.unwrap();
    bench.copies.kept.lock().unwrap().clear();
    std::fs::write(bench.path("terraform.tfstate"), "").unwrap();
    for end in [bench.apply().await.map(|_| ()), bench.destroy().await] {
        match end {
            Err(TerraformEnd::Failed(why)) => assert!(why.contains("state was lost"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bench.read("first.runs"), "x\n");
}

#[tokio::test]
async fn a_configuration_that_needs_init_gets_it() {
    let bench = Bench::new(
        "module \"inner\" { source = \"./inner\" }\noutput \"word\" { value = module.inner.word }",
    );
    std::fs::create_dir(bench.path("inner")).unwrap();
    let inner = "resource \"terraform_data\" \"x\" { input = \"inside\" }\noutput \"word\" { value = terraform_data.x.output }";
    std::fs::write(bench.path("inner/main.tf"), inner).unwrap();
    assert_eq!(bench.apply().await.unwrap(), json!({"word": "inside"}));
    bench.destroy().await.unwrap();
}

#[tokio::test]
async fn a_provider_that_cannot_be_had_touches_nothing() {
    let bench = Bench::new(
        "terraform {\n required_providers { nope = { source = \"registry.invalid/no/nope\" } }\n}\nresource \"nope_thing\" \"x\" {}",
    );
    let end = bench.apply().await;
    assert!(
        matches!(&end, Err(TerraformEnd::Untouched(why)) if why.contains("could not be set up")),
        "{end:?}"
    );
}

#[tokio::test]
async fn an_apply_that_takes_too_long_is_stopped() {
    let mut bench = Bench::waiting(TWO);
    bench.job.timeout = Duration::from_secs(2);
    let end = bench.apply().await;
    assert!(matches!(end, Err(TerraformEnd::Stopped { timed_out: true })), "{end:?}");
    bench.destroy().await.unwrap();
}
