//! Several files and folders as one file, by the system's `tar`.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::start_error::StartError;

/// What tar answers when a file grew while it was read: what it had at first is in.
const CHANGED_MEANWHILE: i32 = 1;

/// Packs `names` of each folder into `file`, which must not be there yet and is its owner's alone.
pub fn pack(file: &Path, folders: &[(&Path, Vec<String>)]) -> Result<(), StartError> {
    let unwritten = |error: std::io::Error| {
        StartError::new(format!("{} cannot be written.", file.display())).because(error)
    };
    let out: File =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(unwritten)?;
    let mut tar = Command::new("tar");
    tar.args(["--create", "--file", "-"]);
    for (folder, names) in folders {
        tar.arg("--directory").arg(folder).args(names);
    }
    let packed = out.try_clone().map_err(unwritten)?;
    let done = tar.stdin(Stdio::null()).stdout(packed).stderr(Stdio::piped()).output();
    let done = done.map_err(|error| StartError::new("tar cannot be run.").because(error))?;
    if !done.status.success() && done.status.code() != Some(CHANGED_MEANWHILE) {
        return Err(unfit("could not be packed", file, &done.stderr));
    }
    out.sync_all().map_err(unwritten)
}

/// Unpacks `file` into a folder that is there.
pub fn unpack(file: &Path, folder: &Path) -> Result<(), StartError> {
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--preserve-permissions", "--file"]).arg(file).arg("--directory").arg(folder);
    let done = tar.stdin(Stdio::null()).stdout(Stdio::null()).output();
    let done = done.map_err(|error| StartError::new("tar cannot be run.").because(error))?;
    if done.status.success() {
        Ok(())
    } else {
        Err(unfit("is no backup that can be read", file, &done.stderr))
    }
}

fn unfit(what: &str, file: &Path, stderr: &[u8]) -> StartError {
    StartError::new(format!("{} {what}.", file.display())).because(String::from_utf8_lossy(stderr).trim())
}
