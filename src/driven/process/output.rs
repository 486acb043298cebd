//! A program's output, read from its files: as lines while it grows, and cut to head and tail when it is over.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Kept of each stream when a program has ended: half from its head, half from its tail.
pub const MOST_KEPT_BYTES: u64 = 64 << 10;
/// A line without an end is passed on in pieces of this size.
const MOST_LINE_BYTES: usize = 1 << 20;
/// Read at one go, so that a program that writes faster than we read cannot keep us from looking elsewhere.
const MOST_READ_BYTES: u64 = 4 << 20;

/// Reads a growing file line by line.
pub struct Tail {
    path: PathBuf,
    file: Option<File>,
    partial: Vec<u8>,
}

impl Tail {
    pub fn new(path: PathBuf) -> Self {
        Self { path, file: None, partial: Vec::new() }
    }

    /// Passes on the whole lines that have come since; how many bytes came.
    pub fn read(&mut self, line: &mut dyn FnMut(&str)) -> io::Result<usize> {
        if self.file.is_none() {
            self.file = match File::open(&self.path) {
                Ok(file) => Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
                Err(error) => return Err(error),
            };
        }
        let Some(file) = &mut self.file else { return Ok(0) };
        let before = self.partial.len();
        let count = file.take(MOST_READ_BYTES).read_to_end(&mut self.partial)?;
        let mut start = 0;
        for at in before..self.partial.len() {
            if self.partial[at] == b'\n' {
                line(&text(&self.partial[start..at]));
                start = at + 1;
            } else if at - start >= MOST_LINE_BYTES {
                line(&text(&self.partial[start..at]));
                start = at;
            }
        }
        self.partial.drain(..start);
        Ok(count)
    }

    /// Passes on all that is left, a last line without an end too.
    pub fn finish(&mut self, line: &mut dyn FnMut(&str)) -> io::Result<()> {
        while self.read(line)? > 0 {}
        if !self.partial.is_empty() {
            line(&text(&std::mem::take(&mut self.partial)));
        }
        Ok(())
    }
}

/// The whole of a file, or its head and tail with a word about what was left out between them.
pub fn head_and_tail(path: &Path) -> io::Result<String> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    let mut head = Vec::new();
    if length <= MOST_KEPT_BYTES {
        file.read_to_end(&mut head)?;
        return Ok(text(&head));
    }
    let half = MOST_KEPT_BYTES / 2;
    let mut tail = Vec::new();
    Read::by_ref(&mut file).take(half).read_to_end(&mut head)?;
    file.seek(SeekFrom::Start(length - half))?;
    file.take(half).read_to_end(&mut tail)?;
    let left_out = length - MOST_KEPT_BYTES;
    Ok(format!("{}\n… {left_out} bytes left out …\n{}", text(&head), text(&tail)))
}

/// Readable text, without the NUL that PostgreSQL has no room for.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.strip_suffix(b"\r").unwrap_or(bytes)).replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn lines_come_whole_however_they_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let mut tail = Tail::new(path.clone());
        let mut seen = Vec::new();
        tail.read(&mut |line| seen.push(line.to_owned())).unwrap();
        let mut file = File::create(&path).unwrap();
        for piece in ["one\ntw", "o\r\nthr\0ee\n", "fo", "ur"] {
            file.write_all(piece.as_bytes()).unwrap();
            tail.read(&mut |line| seen.push(line.to_owned())).unwrap();
        }
        tail.finish(&mut |line| seen.push(line.to_owned())).unwrap();
        assert_eq!(seen, ["one", "two", "thr\u{fffd}ee", "four"]);
    }

    #[test]
    fn a_long_output_keeps_its_head_and_its_tail() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let mut bytes = b"first".to_vec();
        bytes.resize(200_000, b'x');
        bytes.extend(b"last");
        std::fs::write(&path, &bytes).unwrap();
        let kept = head_and_tail(&path).unwrap();
        assert!(kept.starts_with("first") && kept.ends_with("last"));
        assert!(kept.contains("134468 bytes left out"));
        assert!(kept.len() < 66 << 10);
    }
}
