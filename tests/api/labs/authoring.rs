//! `flow-manager lab`, as a lab's author uses it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config");

fn lab(args: &[&str], settings: &[(&str, &str)]) -> (Output, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flow-manager"));
    let ours = std::env::vars_os().map(|(key, _)| key);
    ours.filter(|key| key.as_encoded_bytes().starts_with(b"FLOW_")).for_each(|key| {
        command.env_remove(key);
    });
    command.arg("lab").args(args).env("FLOW_CONFIG_DIR", CONFIG).envs(settings.iter().copied());
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    (output, said)
}

fn folder(root: &Path, name: &str, card: &str, main: &str) -> String {
    let dir = root.join(name);
    fs::create_dir(&dir).unwrap();
    for (file, text) in
        [("lab.toml", card), ("main.tf", main), ("tutorial.md", "# T"), ("grade", "#!/bin/sh\n")]
    {
        fs::write(dir.join(file), text).unwrap();
    }
    fs::set_permissions(dir.join("grade"), fs::Permissions::from_mode(0o755)).unwrap();
    dir.to_str().unwrap().to_owned()
}

const CARD: &str = "title = \"T\"\nsummary = \"S\"\nminutes = 5\n";

#[test]
fn the_shipped_labs_are_in_order_and_listed() {
    for name in ["hello-terraform", "web-server"] {
        let (output, said) = lab(&["check", &format!("{CONFIG}/labs/{name}")], &[]);
        assert!(output.status.success() && said.starts_with(&format!("{name} is in order")), "{said}");
        assert!(!Path::new(CONFIG).join("labs").join(name).join(".terraform").exists());
    }
    let (output, said) = lab(&["list"], &[]);
    assert!(output.status.success());
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(said.contains("Hello, Terraform") && said.contains("15 min  intermediate"), "{said}");
    let last = "A machine of your own (needs proxmox.url)";
    assert!(said.lines().any(|line| line.starts_with("proxmox-vm") && line.ends_with(last)), "{said}");
    let (_, said) = lab(&["list"], &CLUSTER);
    assert!(!said.contains("needs proxmox.url"), "{said}");
}

const CLUSTER: [(&str, &str); 2] =
    [("FLOW_PROXMOX_URL", "https://pve.example.org:8006"), ("FLOW_PROXMOX_TOKEN", "a@pam!b=c")];

/// Where its provider can be had it is validated, and else that is said; in order it is both times.
#[test]
fn the_lab_with_a_machine_is_in_order_without_its_provider() {
    let dir = format!("{CONFIG}/labs/proxmox-vm");
    let (output, said) = lab(&["check", &dir], &[]);
    assert!(output.status.success() && said.contains("proxmox-vm is in order"), "{said}");
    let lacking = "It makes machines, and proxmox.url is not set: this service does not offer it.";
    assert_eq!(said.lines().next(), Some(lacking), "{said}");
    let mirror = tempfile::tempdir().unwrap();
    let settings =
        format!("provider_installation {{\n  filesystem_mirror {{ path = {:?} }}\n}}\n", mirror.path());
    let file = mirror.path().join("terraform.rc");
    fs::write(&file, settings).unwrap();
    let away = [CLUSTER[0], CLUSTER[1], ("TF_CLI_CONFIG_FILE", file.to_str().unwrap())];
    let (output, said) = lab(&["check", &dir], &away);
    let first = "The *.tf files were not validated: the provider bpg/proxmox cannot be had here.";
    assert!(output.status.success() && said.lines().next() == Some(first), "{said}");
    // What is no Terraform at all is found all the same.
    let root = tempfile::tempdir().unwrap();
    let main = format!("{}\nresource {{\n", fs::read_to_string(format!("{dir}/main.tf")).unwrap());
    let broken = folder(root.path(), "broken", CARD, &main);
    let (output, said) = lab(&["check", &broken], &away);
    assert!(output.status.code() == Some(1) && said.contains("*.tf: terraform init: "), "{said}");
}

#[test]
fn every_fault_is_a_line_and_the_exit_status_says_so() {
    let root = tempfile::tempdir().unwrap();
    let card = format!("{CARD}minuts = 5\n[limits]\nidle_s = 1\n");
    let dir = folder(root.path(), "broken", &card, "");
    fs::remove_file(root.path().join("broken/tutorial.md")).unwrap();
    let (output, said) = lab(&["check", &dir], &[]);
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 4, "{said}");
    assert!(said.contains("lab.toml: minuts: ") && said.contains("lab.toml: limits.idle_s: "), "{said}");
    assert!(said.contains("tutorial.md: is missing") && said.ends_with("3 faults.\n"), "{said}");
    let (output, said) = lab(&["check", root.path().join("gone").to_str().unwrap()], &[]);
    assert!(!output.status.success() && said.contains("cannot be read"), "{said}");
}

#[test]
fn terraform_has_its_say_with_file_and_line() {
    let root = tempfile::tempdir().unwrap();
    let main = "resource \"terraform_data\" \"x\" {\n  input = local.gone\n}\n";
    let dir = folder(root.path(), "wrong", CARD, main);
    let (output, said) = lab(&["check", &dir], &[]);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("main.tf: line 2: Reference to undeclared local value"), "{said}");
    let (output, said) = lab(&["check", &dir], &[("PATH", "/nowhere")]);
    assert!(output.status.success() && said.contains("were not validated"), "{said}");
}
