use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;

const CARD: &str = "title = \"T\"\nsummary = \"S\"\nminutes = 5\n";

fn folder(root: &Path, name: &str, card: &str) -> PathBuf {
    let dir = root.join(name);
    fs::create_dir(&dir).unwrap();
    for (file, text) in
        [("lab.toml", card), ("main.tf", ""), ("tutorial.md", "# T"), ("grade", "#!/bin/sh\n")]
    {
        fs::write(dir.join(file), text).unwrap();
    }
    fs::set_permissions(dir.join("grade"), fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

#[test]
fn the_shipped_labs_can_be_read() {
    let labs = LabFolders::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config/labs")).unwrap();
    let lab = labs.lab("hello-terraform").unwrap();
    assert_eq!((lab.version.len(), lab.tutorial.starts_with("# Hello")), (64, true));
    assert!(labs.lab("web-server").is_some());
    assert!(labs.lab("../labs/hello-terraform").is_none());
    let names = |labs: &LabFolders| labs.labs().iter().map(|lab| lab.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&labs), ["hello-terraform", "proxmox-vm", "web-server"]);
    let without = labs.where_machines_are(false);
    assert_eq!(names(&without), ["hello-terraform", "web-server"]);
    let lab = without.lab("proxmox-vm").expect("what was launched before is still its learner's");
    assert_eq!(without.launchable(&lab).unwrap_err().code, "machines.none");
    assert!(without.launchable(&without.lab("web-server").unwrap()).is_ok());
}

#[test]
fn every_fault_of_a_folder_is_told_with_file_and_key() {
    let root = tempfile::tempdir().unwrap();
    let card = "summary = 5\nminutes = 0\nminuts = 5\nallow = [\"king\"]\noutputs = [\"url\"]\n[limits]\nlaunch_timeout_s = 0\n\
                [grading]\npolicy = \"worst\"\nmemory_mb = 0\nprocesses = 5000\nfile_mb = 5000\ntimeout_s = 901\n[variables]\nsession = \"x\"\n\"a b\" = 1\n";
    let dir = folder(root.path(), "one", card);
    fs::remove_file(dir.join("main.tf")).unwrap();
    fs::remove_file(dir.join("tutorial.md")).unwrap();
    fs::set_permissions(dir.join("grade"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(dir.join("terraform.tfstate"), "{}").unwrap();
    fs::create_dir(dir.join(".terraform")).unwrap();
    std::os::unix::fs::symlink("/etc", dir.join("etc")).unwrap();
    let faults = read(&dir).unwrap_err();
    let told: Vec<(&str, &str)> =
        faults.iter().map(|fault| (fault.file.as_str(), fault.key.as_str())).collect();
    for wanted in [
        ("*.tf", ""),
        ("tutorial.md", ""),
        ("grade", ""),
        ("terraform.tfstate", ""),
        (".terraform", ""),
        ("etc", ""),
        ("lab.toml", "summary"),
        ("lab.toml", "minutes"),
        ("lab.toml", "allow.0"),
        ("lab.toml", "limits.launch_timeout_s"),
        ("lab.toml", "grading.policy"),
        ("lab.toml", "grading.memory_mb"),
        ("lab.toml", "grading.processes"),
        ("lab.toml", "grading.file_mb"),
        ("lab.toml", "grading.timeout_s"),
        ("lab.toml", "variables.session"),
        ("lab.toml", "variables.a b"),
    ] {
        assert!(told.contains(&wanted), "{wanted:?} is not among {faults:#?}");
    }
    let lines = faults.iter().map(LabFault::to_string).collect::<Vec<_>>().join("\n");
    assert!(lines.contains("title") && lines.contains("minuts"), "{lines}");
    let why = LabFolders::load(root.path()).err().unwrap();
    assert_eq!(why.lines().count(), faults.len(), "{why}");
    assert!(why.lines().all(|line| line.starts_with("lab \"one\": ")), "{why}");
}

#[test]
fn a_card_that_is_no_toml_is_told_with_its_line() {
    let root = tempfile::tempdir().unwrap();
    let faults = read(&folder(root.path(), "one", "title = \"T\nminutes = 5")).unwrap_err();
    assert_eq!((faults.len(), faults[0].file.as_str()), (1, "lab.toml"));
    assert!(faults[0].detail.contains("line 1"), "{faults:?}");
}

#[test]
fn names_that_lead_elsewhere_are_no_labs() {
    for name in ["a b", "A", "it's", "a\"b", "-a", "a.b", "..a", &"a".repeat(64), "ä", "a\nb"] {
        let root = tempfile::tempdir().unwrap();
        let faults = read(&folder(root.path(), name, CARD)).unwrap_err();
        assert_eq!(faults.len(), 1, "{name:?}: {faults:?}");
        assert!(faults[0].detail.contains("small letters"), "{name:?}: {faults:?}");
    }
    let root = tempfile::tempdir().unwrap();
    assert!(read(&folder(root.path(), &"a".repeat(63), CARD)).is_ok());
    std::os::unix::fs::symlink(root.path().join("a".repeat(63)), root.path().join("link")).unwrap();
    assert!(read(&root.path().join("link")).is_ok(), "a link to a folder is the operator's own way to it");
}

#[test]
fn what_the_card_names_must_be_declared() {
    let root = tempfile::tempdir().unwrap();
    let card = format!(
        "{CARD}machines = 1\noutputs = [\"url\", \"gone\"]\n[variables]\nsize = 3\nlist = [\"a\", 1]\nmissing = true\n"
    );
    let dir = folder(root.path(), "one", &card);
    fs::write(
        dir.join("main.tf"),
        "variable \"size\" {}\n  variable list{\n}\noutput \"url\" { value = 1 }\n",
    )
    .unwrap();
    let keys: Vec<_> = read(&dir).unwrap_err().into_iter().map(|fault| fault.key).collect();
    assert_eq!(keys, ["machines", "outputs.1", "variables.missing"]);
    fs::write(
        dir.join("lab.toml"),
        card.replace("missing = true", "").replace("machines = 1\n", "").replace(", \"gone\"", ""),
    )
    .unwrap();
    let lab = read(&dir).unwrap();
    assert_eq!((lab.variables["size"].as_str(), lab.variables["list"].as_str()), ("3", "[\"a\",1]"));
    assert_eq!(lab.outputs.as_deref(), Some(["url".to_owned()].as_slice()));
}

#[test]
fn any_change_of_a_folder_is_another_version() {
    let root = tempfile::tempdir().unwrap();
    let dir = folder(root.path(), "one", CARD);
    let version = || read(&dir).unwrap().version;
    let mut seen = vec![version()];
    assert_eq!(version(), seen[0]);
    fs::write(dir.join("main.tf"), "# another").unwrap();
    seen.push(version());
    fs::rename(dir.join("main.tf"), dir.join("other.tf")).unwrap();
    seen.push(version());
    fs::create_dir(dir.join("files")).unwrap();
    fs::write(dir.join("files/x"), "").unwrap();
    seen.push(version());
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 4);
}

#[test]
fn what_a_card_asks_for_is_read_and_its_faults_are_told() {
    let root = tempfile::tempdir().unwrap();
    let asked = |more: &str| format!("{CARD}[[answers]]\nname = \"word\"\ntitle = \"The word\"\n{more}");
    let dir = folder(root.path(), "one", &asked("pattern = \"[a-z]+\"\n"));
    let lab = read(&dir).unwrap();
    assert_eq!(
        (lab.answers.len(), lab.answers[0].name.as_str(), lab.answers[0].optional),
        (1, "word", false)
    );
    for (more, key) in [
        ("pattern = \"(\"\n", "answers.0.pattern"),
        ("pattern = \"[a-z]\"\nchoices = [\"B\"]\n", "answers.0.choices"),
        ("choices = []\n", "answers.0.choices"),
        ("patern = \"x\"\n", "answers.0.patern"),
        ("[[answers]]\nname = \"word\"\ntitle = \"Again\"\n", "answers.1.name"),
        ("[[answers]]\nname = \"a b\"\ntitle = \"No name\"\n", "answers.1.name"),
        ("[[answers]]\nname = \"untitled\"\n", "answers.1.title"),
    ] {
        fs::write(dir.join("lab.toml"), asked(more)).unwrap();
        let keys: Vec<_> = read(&dir).unwrap_err().into_iter().map(|fault| fault.key).collect();
        assert_eq!(keys, [key], "{more}");
    }
}
