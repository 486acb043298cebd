//! What `init` gets is got once for a version of a lab.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flow_domain::labs::LabVersion;
use flow_manager::driven::terraform::{Patience, TerraformCli, TerraformOptions};
use futures_util::future::join_all;
use serde_json::json;
use tempfile::TempDir;

use super::{Bench, Copies, options, until};

/// Terraform refuses this until `init` has seen the module.
pub const MODULE: &str = r#"
module "inner" { source = "./inner" }
output "word" { value = module.inner.word }
"#;
pub const INNER: &str = r#"
resource "terraform_data" "x" { input = "inside" }
output "word" { value = terraform_data.x.output }
"#;

/// A version of a lab, and a Terraform that counts its `init`s, and waits before a command while its file `hold-COMMAND` is there.
pub struct Version {
    dir: TempDir,
}

impl Version {
    pub fn new() -> Self {
        let version = Self { dir: tempfile::tempdir().unwrap() };
        let path = std::env::var("PATH").unwrap();
        let found = ["terraform", "tofu"].iter().find_map(|name| {
            std::env::split_paths(&path).map(|dir| dir.join(name)).find(|program| program.is_file())
        });
        let (dir, real) = (version.dir.path().display(), found.unwrap());
        let script = format!(
            "#!/bin/sh\ntrap 'exit 1' INT\n[ \"$1\" != init ] || echo x >> {dir}/inits\n\
             while [ -e {dir}/hold-$1 ]; do sleep 0.05; done\nexec {} \"$@\"\n",
            real.display()
        );
        fs::write(version.program(), script).unwrap();
        fs::set_permissions(version.program(), fs::Permissions::from_mode(0o755)).unwrap();
        version
    }

    pub fn program(&self) -> PathBuf {
        self.dir.path().join("program")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn inits(&self) -> usize {
        fs::read_to_string(self.path("inits")).unwrap_or_default().lines().count()
    }

    /// A session's directory, with a Terraform of its own as another process has.
    fn session(&self) -> Bench {
        self.patient(Patience::default())
    }

    pub(super) fn patient(&self, patience: Patience) -> Bench {
        let options = options(std::env::var("PATH").unwrap());
        let options = TerraformOptions { binary: Some(self.program()), patience, ..options };
        let shared = self.path("shared");
        let mut bench = Bench::set(MODULE, Copies::default(), |programs, copies| {
            TerraformCli::new(options, programs, copies).sharing_init(shared)
        });
        fs::create_dir(bench.path("inner")).unwrap();
        fs::write(bench.path("inner/main.tf"), INNER).unwrap();
        bench.job.of = Some(LabVersion { lab: "lab".to_owned(), version: "1".to_owned() });
        bench
    }

    /// What is shared, if it is there.
    fn shared(&self) -> Option<PathBuf> {
        fs::read_dir(self.path("shared")).ok()?.flatten().map(|entry| entry.path()).find(|path| path.is_dir())
    }
}

async fn launched(bench: &Bench) {
    assert_eq!(bench.apply().await.unwrap(), json!({"word": "inside"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_launches_of_one_version_run_init_once() {
    let version = Version::new();
    let mut sessions: Vec<_> = (0..20).map(|_| version.session()).collect();
    // Two processes, ten sessions each.
    let [one, other] = [0, 1].map(|at| sessions[at].terraform.clone());
    for (at, session) in sessions.iter_mut().enumerate() {
        session.terraform = Arc::clone(if at % 2 == 0 { &one } else { &other });
    }
    join_all(sessions.iter().map(launched)).await;
    assert_eq!(version.inits(), 1);
    for session in &sessions {
        session.destroy().await.unwrap();
    }
    assert_eq!(version.inits(), 1, "to take it down needs no other");
}

#[tokio::test]
async fn what_is_shared_and_damaged_is_not_used_and_made_anew() {
    let version = Version::new();
    launched(&version.session()).await;
    type Damage = fn(&Path);
    let damages: [Damage; 5] = [
        |dir| fs::remove_file(dir.join("terraform/modules/modules.json")).unwrap(),
        |dir| fs::write(dir.join("terraform/modules/modules.json"), "{").unwrap(),
        |dir| fs::write(dir.join("seal"), "").unwrap(),
        |dir| fs::remove_dir_all(dir.join("terraform")).unwrap(),
        |dir| fs::remove_dir_all(dir).unwrap(),
    ];
    for (at, damage) in damages.into_iter().enumerate() {
        damage(&version.shared().unwrap());
        launched(&version.session()).await;
        assert_eq!(version.inits(), at + 2, "by an init of its own");
        launched(&version.session()).await;
        assert_eq!(version.inits(), at + 2, "which is shared again");
    }
    // Nowhere to share: each gets its own.
    fs::remove_dir_all(version.path("shared")).unwrap();
    fs::write(version.path("shared"), "in the way").unwrap();
    let before = version.inits();
    launched(&version.session()).await;
    launched(&version.session()).await;
    assert_eq!(version.inits(), before + 2);
}

#[tokio::test]
async fn an_init_whose_process_dies_leaves_nothing_half_made() {
    let version = Version::new();
    fs::write(version.path("hold-init"), "").unwrap();
    let first = version.session();
    tokio::select! {
        end = first.apply() => panic!("it ended: {end:?}"),
        () = until(|| version.inits() == 1) => {}
    }
    // The process is gone, in the middle of the init; another one had died while it copied.
    assert_eq!(version.shared(), None);
    fs::create_dir_all(version.path("shared/lab-1-0.new/terraform")).unwrap();
    fs::remove_file(version.path("hold-init")).unwrap();
    let second = version.session();
    assert_eq!(version.shared(), None, "what was half copied is gone");
    launched(&second).await;
    assert_eq!(version.inits(), 2);
    // The first goes on with its own init, which outlived its process, and with nothing of the other's.
    launched(&first).await;
    assert_eq!(version.inits(), 2);
}

#[tokio::test]
async fn who_waits_for_another_sessions_init_can_be_cancelled() {
    let version = Version::new();
    fs::write(version.path("hold-init"), "").unwrap();
    let (first, second) = (version.session(), version.session());
    let (begun, end) = tokio::join!(first.apply(), async {
        until(|| version.inits() == 1).await;
        let (end, ()) = tokio::join!(second.apply(), async {
            until(|| second.watch.said("Another session of this lab is being set up")).await;
            second.cancel.cancel();
        });
        fs::remove_file(version.path("hold-init")).unwrap();
        end
    });
    begun.unwrap();
    assert!(end.is_err(), "{end:?}");
    assert!(!second.path("terraform.tfstate").exists());
}
