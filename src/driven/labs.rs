//! Labs as folders: `NAME/{lab.toml, *.tf, tutorial.md, grade}`. Adapter of the port `LabCatalogue`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flow_domain::labs::{Grading, Lab, LabCatalogue};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// A grader may ask for no more than this, in seconds.
const MOST_GRADE_S: u64 = 900;
/// An apply may ask for no more than this, in seconds.
const MOST_APPLY_S: u64 = 3600;

/// The labs of a directory, read once.
pub struct LabFolders {
    labs: BTreeMap<String, Arc<Lab>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Card {
    title: String,
    summary: String,
    minutes: u32,
    #[serde(default = "default_apply_s")]
    apply_timeout_s: u64,
    #[serde(default = "default_grade_s")]
    grade_timeout_s: u64,
    #[serde(default)]
    grading: Grading,
}

fn default_apply_s() -> u64 {
    900
}

fn default_grade_s() -> u64 {
    60
}

impl LabFolders {
    /// Reads every folder of `root`. The error names the lab and what is wrong with it. A directory that is not
    /// there holds no labs.
    pub fn load(root: &Path) -> Result<Self, String> {
        let mut labs = BTreeMap::new();
        let Ok(entries) = fs::read_dir(root) else { return Ok(Self { labs }) };
        for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let lab = read(&name, entry.path()).map_err(|why| format!("lab {name:?}: {why}"))?;
            labs.insert(name, Arc::new(lab));
        }
        Ok(Self { labs })
    }
}

impl LabCatalogue for LabFolders {
    fn lab(&self, name: &str) -> Option<Arc<Lab>> {
        self.labs.get(name).cloned()
    }

    fn labs(&self) -> Vec<Arc<Lab>> {
        self.labs.values().cloned().collect()
    }
}

fn read(name: &str, dir: PathBuf) -> Result<Lab, String> {
    if !is_lab_name(name) {
        return Err("a lab's folder is named with small letters, digits and hyphens, 63 at most".into());
    }
    let text = fs::read_to_string(dir.join("lab.toml")).map_err(|error| format!("lab.toml: {error}"))?;
    // The parser's message quotes the line and names the key.
    let card: Card = toml::from_str(&text).map_err(|error| format!("lab.toml: {error}"))?;
    within("apply_timeout_s", card.apply_timeout_s, MOST_APPLY_S)?;
    within("grade_timeout_s", card.grade_timeout_s, MOST_GRADE_S)?;
    card.grading.check().map_err(|why| format!("lab.toml: {why}"))?;

    let mut files = Vec::new();
    list(&dir, &dir, &mut files)?;
    let has = |name: &str| files.iter().any(|file| file == Path::new(name));
    if !files
        .iter()
        .any(|file| file.extension().is_some_and(|it| it == "tf") && file.components().count() == 1)
    {
        return Err("there is no *.tf file".into());
    }
    for needed in ["tutorial.md", "grade"] {
        if !has(needed) {
            return Err(format!("{needed} is missing"));
        }
    }
    if !executable(&dir.join("grade"))? {
        return Err("grade is not executable".into());
    }
    if has("terraform.tfstate") {
        return Err("there is a terraform.tfstate in it: each session makes its own".into());
    }
    Ok(Lab {
        name: name.to_owned(),
        title: card.title,
        summary: card.summary,
        minutes: card.minutes,
        version: version(&dir, files)?,
        dir,
        apply_timeout_s: card.apply_timeout_s,
        grade_timeout_s: card.grade_timeout_s,
        grading: card.grading,
    })
}

/// A lab's name is a folder's, a path's and a URL's part.
fn is_lab_name(name: &str) -> bool {
    let letters = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    letters && (1..=63).contains(&name.len()) && !name.starts_with('-')
}

fn within(key: &str, value: u64, most: u64) -> Result<(), String> {
    match (1..=most).contains(&value) {
        true => Ok(()),
        false => Err(format!("lab.toml: {key} must be 1 to {most}")),
    }
}

/// All files below `dir`, as paths relative to `root`.
fn list(root: &Path, dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    for entry in fs::read_dir(dir).map_err(|error| error.to_string())? {
        let path = entry.map_err(|error| error.to_string())?.path();
        let kind = fs::symlink_metadata(&path).map_err(|error| error.to_string())?.file_type();
        let relative = path.strip_prefix(root).map_err(|error| error.to_string())?.to_owned();
        if kind.is_dir() {
            list(root, &path, files)?;
        } else if kind.is_file() {
            files.push(relative);
        } else {
            return Err(format!("{} is neither a file nor a folder", relative.display()));
        }
    }
    Ok(())
}

/// SHA-256 over every file's path, mode and content, each with its length, so that no two folders look alike.
fn version(dir: &Path, mut files: Vec<PathBuf>) -> Result<String, String> {
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let bytes = fs::read(dir.join(&file)).map_err(|error| format!("{}: {error}", file.display()))?;
        let path = file.to_string_lossy().into_owned();
        for part in [path.as_bytes(), &[u8::from(executable(&dir.join(&file))?)], &bytes] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    Ok(flow_domain::hex(hash.finalize()))
}

fn executable(path: &Path) -> Result<bool, String> {
    let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
    Ok(metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
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
        assert_eq!((lab.version.len(), labs.labs().is_empty()), (64, false));
        assert!(labs.lab("../labs/hello-terraform").is_none());
    }

    #[test]
    fn an_unknown_key_is_named() {
        let root = tempfile::tempdir().unwrap();
        folder(root.path(), "one", &format!("{CARD}minuts = 5\n"));
        let why = LabFolders::load(root.path()).err().unwrap();
        assert!(why.contains("lab \"one\"") && why.contains("minuts"), "{why}");
    }

    #[test]
    fn what_is_missing_or_too_much_is_named() {
        type Spoil = fn(&Path);
        let spoils: [(&str, Spoil); 6] = [
            ("tutorial.md is missing", |dir| fs::remove_file(dir.join("tutorial.md")).unwrap()),
            ("no *.tf", |dir| fs::remove_file(dir.join("main.tf")).unwrap()),
            ("not executable", |dir| {
                fs::set_permissions(dir.join("grade"), fs::Permissions::from_mode(0o644)).unwrap();
            }),
            ("terraform.tfstate", |dir| fs::write(dir.join("terraform.tfstate"), "{}").unwrap()),
            ("grade_timeout_s", |dir| {
                fs::write(dir.join("lab.toml"), format!("{CARD}grade_timeout_s = 901")).unwrap()
            }),
            ("neither a file nor a folder", |dir| {
                std::os::unix::fs::symlink("/etc", dir.join("etc")).unwrap()
            }),
        ];
        for (word, spoil) in spoils {
            let root = tempfile::tempdir().unwrap();
            spoil(&folder(root.path(), "one", CARD));
            let why = LabFolders::load(root.path()).err().unwrap();
            assert!(why.contains(word), "{word}: {why}");
        }
    }

    #[test]
    fn any_change_of_a_folder_is_another_version() {
        let root = tempfile::tempdir().unwrap();
        let dir = folder(root.path(), "one", CARD);
        let version = || LabFolders::load(root.path()).unwrap().lab("one").unwrap().version.clone();
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
}
