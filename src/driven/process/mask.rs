//! Takes secrets out of what an ended program wrote: its output went to the record's files as it was.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use flow_domain::ports::Lines;

use super::record::Record;

/// A longer line is looked at in pieces.
const MOST_LINE_BYTES: u64 = 1 << 20;

/// Rewrites the files whose lines hold something to be masked; the others stay as they are.
pub(super) fn mask(record: &Record, lines: &dyn Lines) -> io::Result<()> {
    for file in [record.stdout(), record.stderr()] {
        match mask_file(&file, lines) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn mask_file(file: &Path, lines: &dyn Lines) -> io::Result<()> {
    let mut input = BufReader::new(File::open(file)?);
    let new = file.with_extension("masked");
    let output = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    let (mut output, mut masked, mut line) = (BufWriter::new(output), false, Vec::new());
    while (&mut input).take(MOST_LINE_BYTES).read_until(b'\n', &mut line)? > 0 {
        match lines.masked(&String::from_utf8_lossy(&line)) {
            Some(clean) => {
                masked = true;
                output.write_all(clean.as_bytes())?;
            }
            None => output.write_all(&line)?,
        }
        line.clear();
    }
    output.flush()?;
    match masked {
        true => fs::rename(new, file),
        false => fs::remove_file(new),
    }
}
