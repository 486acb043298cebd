//! Files that go to a grader and come back from it. It may be hostile, and so may what it is to look at.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Error, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, fchown};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// A result is tests and words; more than this is a grader gone wrong.
const MOST_RESULT_BYTES: u64 = 256 << 10;
/// Of a session's files, in all.
const MOST_COPIED_BYTES: u64 = 64 << 20;
const MOST_COPIED_FILES: u32 = 10_000;
/// The service's own, and what Terraform downloads.
const NOT_COPIED: [&str; 3] = [".flow", ".terraform", ".terraform.tfstate.lock.info"];

/// Writes a file that is not there yet; with an account, for its group.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32, account: Option<u32>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    finish(&file, mode, account)
}

/// Copies the files of a directory to an empty one, for the account's group to read. Links and special files are
/// left out: they may lead anywhere.
pub fn copy_tree(from: &Path, to: &Path, account: Option<u32>) -> io::Result<()> {
    let mut left = Left { bytes: MOST_COPIED_BYTES, files: MOST_COPIED_FILES };
    copy_folder(from, to, account, &mut left)
}

struct Left {
    bytes: u64,
    files: u32,
}

fn copy_folder(from: &Path, to: &Path, account: Option<u32>, left: &mut Left) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if NOT_COPIED.iter().any(|not| name == *not) {
            continue;
        }
        left.files =
            left.files.checked_sub(1).ok_or_else(|| Error::other("the session has too many files"))?;
        let (kind, target) = (entry.file_type()?, to.join(&name));
        if kind.is_dir() {
            DirBuilder::new().mode(0o750).create(&target)?;
            if account.is_some() {
                chown(&target, None, account)?;
            }
            copy_folder(&entry.path(), &target, account, left)?;
        } else if kind.is_file() {
            copy_file(&entry.path(), &target, account, left)?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path, account: Option<u32>, left: &mut Left) -> io::Result<()> {
    let source = open_regular(from)?;
    let executable = source.metadata()?.permissions().mode() & 0o100 != 0;
    let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let copied = io::copy(&mut source.take(left.bytes + 1), &mut target)?;
    left.bytes =
        left.bytes.checked_sub(copied).ok_or_else(|| Error::other("the session's files are over 64 MiB"))?;
    finish(&target, if executable { 0o550 } else { 0o440 }, account)
}

fn finish(file: &File, mode: u32, account: Option<u32>) -> io::Result<()> {
    if account.is_some() {
        fchown(file, None, account)?;
    }
    file.set_permissions(Permissions::from_mode(mode))
}

/// Reads what the grader wrote, if it did. A link, a pipe, or a file that is not the grader's is refused: behind it
/// could be a file that only we can read.
pub fn read_result(path: &Path, owner: u32) -> Result<Option<String>, String> {
    let file = match open_regular(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(_) => return Err("its result is not a plain file".to_owned()),
    };
    let unreadable = |_| "its result cannot be read".to_owned();
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.uid() != owner || metadata.nlink() != 1 {
        return Err("its result is not a file of its own".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(MOST_RESULT_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST_RESULT_BYTES {
        return Err("its result is over 256 KiB".to_owned());
    }
    let text = String::from_utf8(bytes).map_err(|_| "its result is not UTF-8".to_owned())?;
    Ok(Some(text).filter(|text| !text.trim().is_empty()))
}

/// Opens a file without following a link in its last part, and without waiting at a pipe.
fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(Error::other("not a plain file")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn ours() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    #[test]
    fn a_copy_has_files_and_folders_and_no_links_and_nothing_of_ours() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        for folder in ["sub", ".flow", ".terraform"] {
            fs::create_dir_all(from.join(folder)).unwrap();
            fs::write(from.join(folder).join("x"), "y").unwrap();
        }
        symlink("/etc/passwd", from.join("link")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, from.join("pipe"), rustix::fs::FileType::Fifo, Mode::RUSR, 0)
            .unwrap();
        fs::create_dir(&to).unwrap();
        copy_tree(&from, &to, None).unwrap();
        let names: Vec<_> = fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["sub"]);
        assert_eq!(fs::read_to_string(to.join("sub/x")).unwrap(), "y");
    }

    #[test]
    fn more_than_is_copied_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir(&from).unwrap();
        fs::create_dir(&to).unwrap();
        // Takes no room on the disk.
        File::create(from.join("big")).unwrap().set_len(MOST_COPIED_BYTES + 1).unwrap();
        assert!(copy_tree(&from, &to, None).unwrap_err().to_string().contains("64 MiB"));
    }

    #[test]
    fn a_result_is_a_plain_file_of_the_graders_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("result.json");
        assert_eq!(read_result(&path, ours()), Ok(None));
        fs::write(&path, " \n").unwrap();
        assert_eq!(read_result(&path, ours()), Ok(None));
        fs::write(&path, "{}").unwrap();
        assert_eq!(read_result(&path, ours()), Ok(Some("{}".into())));
        assert!(read_result(&path, ours() + 1).is_err(), "another's file");
        fs::hard_link(&path, dir.path().join("other")).unwrap();
        assert!(read_result(&path, ours()).is_err(), "a file with another name");
        fs::remove_file(&path).unwrap();
        symlink("/etc/passwd", &path).unwrap();
        assert!(read_result(&path, 0).is_err(), "a link");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(read_result(&path, ours()).is_err(), "a folder");
        fs::remove_dir(&path).unwrap();
        fs::write(&path, vec![b' '; 300 << 10]).unwrap();
        assert!(read_result(&path, ours()).unwrap_err().contains("256 KiB"));
    }
}
