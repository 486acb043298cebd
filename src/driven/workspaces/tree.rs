//! Directory trees walked from open directories, no link followed.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fchmod, fstat, mkdirat, openat, statat, unlinkat};
use rustix::io::Errno;

/// Deeper trees are refused before the stack or the open files run out.
const DEEPEST: usize = 64;

pub fn directory() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC
}

/// Opens a directory below `parent`. A link there is `LOOP` or `NOTDIR`, as the system has it.
pub fn open_dir<P: rustix::path::Arg>(parent: impl AsFd, name: P) -> rustix::io::Result<OwnedFd> {
    openat(parent, name, directory() | OFlags::NOFOLLOW, Mode::empty())
}

/// Makes the directory below `parent` if it is missing, sees to it that it is 0700, and tells if it was made now.
pub fn make_dir<P: rustix::path::Arg + Copy>(
    parent: impl AsFd,
    name: P,
) -> rustix::io::Result<(OwnedFd, bool)> {
    let made = match mkdirat(&parent, name, Mode::RWXU) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(error) => return Err(error),
    };
    let dir = open_dir(&parent, name)?;
    // The umask may have taken bits away, and someone may have given some.
    if Mode::from_raw_mode(fstat(&dir)?.st_mode) != Mode::RWXU {
        fchmod(&dir, Mode::RWXU)?;
    }
    Ok((dir, made))
}

/// Removes all there is in a directory, but not itself.
pub fn empty(dir: &OwnedFd) -> rustix::io::Result<()> {
    empty_to(dir, DEEPEST)
}

fn empty_to(dir: &OwnedFd, depth: usize) -> rustix::io::Result<()> {
    if depth == 0 {
        return Err(Errno::NAMETOOLONG);
    }
    // Programs leave directories that even their owner may not write to.
    fchmod(dir, Mode::RWXU)?;
    for name in names(dir)? {
        // Asked of the name now and not of the listing: what changes in between is opened or removed as what it
        // then is, and a link is never more than unlinked.
        let removed = match open_dir(dir, name.as_c_str()) {
            Ok(inner) => {
                empty_to(&inner, depth - 1)?;
                unlinkat(dir, name.as_c_str(), AtFlags::REMOVEDIR)
            }
            Err(Errno::LOOP | Errno::NOTDIR) => unlinkat(dir, name.as_c_str(), AtFlags::empty()),
            Err(error) => Err(error),
        };
        match removed {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Copies directories and regular files. What has the name of a copied file is replaced; links and devices in
/// `from` are left out, and links in `to` are replaced and never written through.
pub fn copy_into(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    copy_to(from, to, DEEPEST)
}

fn copy_to(from: &OwnedFd, to: &OwnedFd, depth: usize) -> io::Result<()> {
    if depth == 0 {
        return Err(Errno::NAMETOOLONG.into());
    }
    for name in names(from)? {
        let name = name.as_c_str();
        match FileType::from_raw_mode(statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode) {
            FileType::Directory => {
                unlink_unless_dir(to, name)?;
                let (target, _) = make_dir(to, name)?;
                copy_to(&open_dir(from, name)?, &target, depth - 1)?;
            }
            FileType::RegularFile => copy_file(from, to, name)?,
            other => log::warn!("left out of a copy: {} ({other:?})", name.to_string_lossy()),
        }
    }
    Ok(())
}

fn copy_file(from: &OwnedFd, to: &OwnedFd, name: &CStr) -> io::Result<()> {
    // Non-blocking, lest a pipe put there since holds the thread; to a regular file it means nothing.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let source = openat(from, name, flags, Mode::empty())?;
    let runnable =
        Mode::from_raw_mode(fstat(&source)?.st_mode).intersects(Mode::XUSR | Mode::XGRP | Mode::XOTH);
    let mode = if runnable { Mode::RWXU } else { Mode::RUSR | Mode::WUSR };
    match unlinkat(to, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let target = openat(to, name, flags, mode)?;
    fchmod(&target, mode)?;
    io::copy(&mut File::from(source), &mut File::from(target))?;
    Ok(())
}

fn unlink_unless_dir(dir: &OwnedFd, name: &CStr) -> rustix::io::Result<()> {
    match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::Directory => {
            unlinkat(dir, name, AtFlags::empty())
        }
        Ok(_) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What is in a directory, read to the end before anything is changed in it.
fn names(dir: &OwnedFd) -> rustix::io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let name = entry?.file_name().to_owned();
        if name.as_bytes() != b"." && name.as_bytes() != b".." {
            names.push(name);
        }
    }
    Ok(names)
}
