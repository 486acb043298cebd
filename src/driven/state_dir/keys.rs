//! Keys that are made once and kept in a file, 0600, as 64 hexadecimal digits.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rand::TryRng;
use rand::rngs::SysRng;

use crate::driven::start_error::StartError;

/// The key in `path`. A file that is there but holds no key is an error: a new key in its place would make everything
/// the old one encrypted unreadable.
pub(super) fn find_or_make(path: &Path) -> Result<[u8; 32], StartError> {
    match fs::read_to_string(path) {
        Ok(text) => parse(text.trim()).ok_or_else(|| {
            StartError::new(format!("{} is damaged: it is not 64 hexadecimal digits.", path.display()))
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => make(path).map_err(|error| {
            StartError::new(format!("{} cannot be written.", path.display())).because(error)
        }),
        Err(error) => Err(StartError::new(format!("{} cannot be read.", path.display())).because(error)),
    }
}

/// Written beside its place and moved there: a crash leaves the whole key or none.
fn make(path: &Path) -> std::io::Result<[u8; 32]> {
    let mut key = [0; 32];
    SysRng.try_fill_bytes(&mut key).map_err(std::io::Error::other)?;
    let text = flow_domain::hex(key);
    let beside = path.with_extension("key.new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    if let Some(parent) = path.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(key)
}

fn parse(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut key = [0; 32];
    for (byte, at) in key.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(key)
}
