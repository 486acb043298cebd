//! Several files and folders as one file, by the system's `tar`.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use super::start_error::StartError;

/// What tar answers when a file grew while it was read: what it had at first is in.
const CHANGED_MEANWHILE: i32 = 1;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Packs `names` of each folder into `file`, which must not be there yet and is its owner's alone. `tell` hears how
/// many bytes are in it, of about how many.
pub fn pack(
    file: &Path,
    folders: &[(&Path, Vec<String>)],
    tell: &dyn Fn(u64, u64),
) -> Result<(), StartError> {
    let unwritten =
        |error: io::Error| StartError::new(format!("{} cannot be written.", file.display())).because(error);
    let out: File =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(unwritten)?;
    let mut tar = Command::new("tar");
    tar.args(["--create", "--file", "-"]);
    let mut total = 0;
    for (folder, names) in folders {
        tar.arg("--directory").arg(folder).args(names);
        total += names.iter().map(|name| size(&folder.join(name))).sum::<u64>();
    }
    tar.stdout(out.try_clone().map_err(unwritten)?);
    let done = watched(tar, || tell(out.metadata().map_or(0, |file| file.len()), total))?;
    if !done.status.success() && done.status.code() != Some(CHANGED_MEANWHILE) {
        return Err(unfit("could not be packed", file, &done.stderr));
    }
    out.sync_all().map_err(unwritten)
}

/// Unpacks `file` into a folder that is there; `tell` as of [`pack`].
pub fn unpack(file: &Path, folder: &Path, tell: &dyn Fn(u64, u64)) -> Result<(), StartError> {
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--preserve-permissions", "--file"]).arg(file).arg("--directory").arg(folder);
    tar.stdout(Stdio::null());
    let total = size(file);
    let done = watched(tar, || tell(size(folder), total))?;
    if done.status.success() {
        Ok(())
    } else {
        Err(unfit("is no backup that can be read", file, &done.stderr))
    }
}

/// Runs to its end, with a look every now and then.
fn watched(mut tar: Command, look: impl Fn()) -> Result<Output, StartError> {
    let unrun = |error: io::Error| StartError::new("tar cannot be run.").because(error);
    let child = tar.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(unrun)?;
    thread::scope(|scope| {
        let end = scope.spawn(|| child.wait_with_output());
        while !end.is_finished() {
            look();
            thread::sleep(LOOK_EVERY);
        }
        end.join().unwrap_or_else(|_| Err(io::Error::other("it was not waited for"))).map_err(unrun)
    })
}

/// Of a file or of all below a folder, in bytes. What goes away meanwhile has none.
fn size(path: &Path) -> u64 {
    let Ok(of) = fs::symlink_metadata(path) else { return 0 };
    if !of.is_dir() {
        return of.len();
    }
    fs::read_dir(path).map_or(0, |inside| inside.flatten().map(|entry| size(&entry.path())).sum())
}

fn unfit(what: &str, file: &Path, stderr: &[u8]) -> StartError {
    StartError::new(format!("{} {what}.", file.display())).because(String::from_utf8_lossy(stderr).trim())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn what_is_packed_comes_back_and_it_is_told_how_far_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to, file) = (dir.path().join("from"), dir.path().join("to"), dir.path().join("file.tar"));
        fs::create_dir_all(from.join("a/b")).unwrap();
        fs::create_dir(&to).unwrap();
        fs::write(from.join("a/b/big"), vec![7; 3 << 20]).unwrap();
        let told = Mutex::new(Vec::new());
        let tell = |done: u64, total: u64| told.lock().unwrap().push((done, total));
        pack(&file, &[(&from, vec!["a".to_owned()])], &tell).unwrap();
        unpack(&file, &to, &tell).unwrap();
        assert_eq!(fs::read(to.join("a/b/big")).unwrap(), vec![7; 3 << 20]);
        assert!(pack(&file, &[], &tell).unwrap_err().sentence.contains("cannot be written"));
        let told = told.lock().unwrap();
        assert!(told.len() >= 2 && told.iter().all(|(_, total)| *total >= 3 << 20), "{told:?}");
    }
}
