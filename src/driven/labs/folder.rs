//! A lab's folder: which files must be there, which must not, and what makes it another version.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::LabFault;

/// Every session copies the folder.
const MOST_BYTES: u64 = 64 << 20;

/// The regular files below `dir`, relative to it, sorted. What is neither a file nor a folder is a fault: a link would
/// lead out of the copies that sessions make.
pub fn files(dir: &Path, faults: &mut Vec<LabFault>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    list(dir, dir, &mut files, faults);
    files.sort();
    let size = |file: &PathBuf| fs::metadata(dir.join(file)).map_or(0, |metadata| metadata.len());
    if files.iter().map(size).sum::<u64>() > MOST_BYTES {
        faults.push(LabFault::new("", "", "the files are over 64 MiB in all, and each session copies them"));
    }
    files
}

fn list(root: &Path, dir: &Path, files: &mut Vec<PathBuf>, faults: &mut Vec<LabFault>) {
    let shown = |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => return faults.push(LabFault::new(shown(dir), "", format!("cannot be read: {error}"))),
    };
    for entry in entries {
        let path = match entry {
            Ok(entry) => entry.path(),
            Err(error) => {
                faults.push(LabFault::new(shown(dir), "", format!("cannot be read: {error}")));
                continue;
            }
        };
        match fs::symlink_metadata(&path).map(|metadata| metadata.file_type()) {
            Ok(kind) if kind.is_dir() => list(root, &path, files, faults),
            Ok(kind) if kind.is_file() => files.push(path.strip_prefix(root).unwrap_or(&path).to_owned()),
            Ok(kind) if kind.is_symlink() => {
                faults.push(LabFault::new(shown(&path), "", "is a symbolic link: sessions copy no links"));
            }
            Ok(_) => faults.push(LabFault::new(shown(&path), "", "is neither a file nor a folder")),
            Err(error) => faults.push(LabFault::new(shown(&path), "", format!("cannot be read: {error}"))),
        }
    }
}

/// What the folder must have and must not.
pub fn check(dir: &Path, files: &[PathBuf], faults: &mut Vec<LabFault>) {
    let has = |name: &str| files.iter().any(|file| file == Path::new(name));
    let top = |file: &&PathBuf| file.components().count() == 1;
    if !files.iter().filter(top).any(|file| file.extension().is_some_and(|it| it == "tf")) {
        faults.push(LabFault::new("*.tf", "", "there is none"));
    }
    if !has("tutorial.md") {
        faults.push(LabFault::new("tutorial.md", "", "is missing"));
    }
    match has("grade") {
        false => faults.push(LabFault::new("grade", "", "is missing")),
        true if !executable(&dir.join("grade")) => {
            faults.push(LabFault::new("grade", "", "is not executable: chmod +x grade"));
        }
        true => {}
    }
    for file in files.iter().filter(|file| file.starts_with("checks") && !executable(&dir.join(file))) {
        let file = file.display();
        faults.push(LabFault::new(&file, "", format!("is not executable: chmod +x {file}")));
    }
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("terraform.tfstate") {
            faults.push(LabFault::new(file.display(), "", "is a state: each session makes its own"));
        }
    }
    // Terraform's own folder holds providers and links; the service's own is made in each session.
    for own in [".terraform", ".flow"] {
        if dir.join(own).exists() {
            faults.push(LabFault::new(own, "", "is made in each session; remove it"));
        }
    }
}

/// Numbers of the steps that have a check.
pub fn checks(dir: &Path) -> BTreeSet<u32> {
    let entries = fs::read_dir(dir.join("checks")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// SHA-256 over every file's path, mode and content, each with its length, so that no two folders look alike.
pub fn version(dir: &Path, files: &[PathBuf]) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    for file in files {
        let bytes = fs::read(dir.join(file))?;
        let path = file.to_string_lossy().into_owned();
        for part in [path.as_bytes(), &[u8::from(executable(&dir.join(file)))], &bytes] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    Ok(flow_domain::hex(hash.finalize()))
}

fn executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
}
