//! States that Terraform cannot write, on small disks in memory that only root may mount.

use std::path::Path;
use std::process::Command;

use flow_domain::ports::TerraformEnd;

use super::{Bench, until};
use crate::faults::full_disk::Disk;

/// The second object is made once the file `go` is there; a state with it is larger than what a full disk takes.
const BIG: &str = r#"
resource "terraform_data" "first" { input = "one" }
resource "terraform_data" "second" {
  input = "${terraform_data.first.output}${join("", [for i in range(900) : "0123456789"])}"
  provisioner "local-exec" { command = "touch up; while [ ! -e go ]; do sleep 0.05; done" }
  provisioner "local-exec" {
    when    = destroy
    command = "echo gone >> gone"
  }
}
resource "terraform_data" "third" { input = terraform_data.second.id }
"#;

/// Applies, with the disk full before the second object is made. What it made is then made known again.
async fn applied_on_a_full_disk(bench: &Bench, disk: &Disk) {
    let up = bench.path("up");
    let (end, ()) = tokio::join!(bench.apply(), async {
        until(|| up.exists()).await;
        until(|| bench.copies.objects() == Some(1)).await;
        // The name is there before the disk is full.
        std::fs::write(bench.path("not-yet"), "").unwrap();
        disk.fill();
        std::fs::rename(bench.path("not-yet"), bench.path("go")).unwrap();
    });
    match end {
        Err(TerraformEnd::Failed(why)) => assert!(why.contains("Failed to save state"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.copies.objects(), Some(2), "what no file took is in the copies");
}

async fn taken_down(bench: &Bench) {
    bench.destroy().await.unwrap();
    assert_eq!((bench.read("gone").as_str(), bench.objects()), ("gone\n", 0));
    assert!(!bench.watch.said("an operator may look"), "nothing is in doubt");
    for file in ["errored.tfstate", ".flow/doubt.json"] {
        assert!(!bench.path(file).exists(), "{file}");
    }
}

#[tokio::test]
async fn a_state_that_is_saved_elsewhere_is_found_and_nothing_of_it_is_lost() {
    let Some(disk) = Disk::mount(1) else { return };
    let bench = Bench::new(BIG);
    let (there, here) = (disk.path().join("state"), bench.path("terraform.tfstate"));
    for file in [&there, &here] {
        std::fs::write(file, "").unwrap();
    }
    let mounted = |args: &[&Path]| Command::new("mount").arg("--bind").args(args).status().unwrap().success();
    assert!(mounted(&[&there, &here]));
    applied_on_a_full_disk(&bench, &disk).await;
    assert!(bench.path("errored.tfstate").exists(), "its place takes nothing yet");
    assert!(Command::new("umount").arg(&here).status().unwrap().success());
    bench.copies.kept.lock().unwrap().clear();
    taken_down(&bench).await;
}

#[tokio::test]
async fn a_state_that_no_file_takes_is_kept_from_what_terraform_says() {
    let Some(disk) = Disk::mount(4) else { return };
    let mut bench = Bench::new(BIG);
    let dir = disk.path().join("session");
    std::fs::create_dir(&dir).unwrap();
    std::fs::copy(bench.path("main.tf"), dir.join("main.tf")).unwrap();
    bench.job.dir = dir;
    applied_on_a_full_disk(&bench, &disk).await;
    disk.free();
    taken_down(&bench).await;
}
