//! Looks a whole file through, a window at a time: is it what its dataset says, and where can it be cut?

use super::dataset::{BadRows, Dataset};
use super::records::{MAX_RECORD_BYTES, Split, Splitter, line_len};
use super::rows::{Cell, Layout, RowFault, RowReader, RowSink, decode};
use crate::Result;
use crate::objects::{Object, Objects};

/// Read at once.
const WINDOW_BYTES: u64 = 1 << 20;
/// Kept of all the faults of a file; the others are counted.
const KEPT_FAULTS: usize = 100;
/// Kept of a line that is no row.
pub const KEPT_BYTES: usize = 1000;

/// A part of a file that is loaded by itself: whole records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// From 0.
    pub number: i32,
    pub start: u64,
    /// The byte after its last.
    pub end: u64,
    /// Of its first byte, from 1.
    pub line: u64,
    /// Records, those that do not fit included.
    pub rows: u64,
}

/// A row that is not loaded, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub fault: RowFault,
    /// The beginning of it; what is no UTF-8 or no text is replaced.
    pub content: String,
}

impl Skipped {
    pub fn new(fault: RowFault, content: &[u8]) -> Self {
        let content = &content[..content.len().min(KEPT_BYTES)];
        let content =
            String::from_utf8_lossy(content).trim_end_matches(['\r', '\n']).replace('\0', "\u{fffd}");
        Self { fault, content }
    }
}

/// What is in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    pub headers: Vec<String>,
    pub chunks: Vec<Chunk>,
    /// Records, those that do not fit included.
    pub rows: u64,
    /// Those that do not fit.
    pub skipped: u64,
    /// The first of what is wrong.
    pub faults: Vec<RowFault>,
    /// Lines that are in no chunk, for no chunk could hold them.
    pub endless: Vec<Skipped>,
    /// Nothing of it is to be loaded.
    pub rejected: bool,
}

/// Reads the object through. What was read of an object that changes meanwhile is of no use: `objects.changed`.
pub async fn scan(
    dataset: &Dataset,
    bad_rows: BadRows,
    objects: &dyn Objects,
    object: &Object,
    chunk_bytes: u64,
) -> Result<Scanned> {
    let mut scanner =
        Scanner { chunk_bytes: chunk_bytes.max(1), line: 1, chunk_line: 1, ..Scanner::default() };
    let mut layout = None;
    let mut read = 0;
    while read < object.size_bytes {
        let to = object.size_bytes.min(read + WINDOW_BYTES);
        let window = objects.read(object, read..to).await?;
        scanner.bytes.extend_from_slice(&window);
        read = to;
        let all = read == object.size_bytes;
        if layout.is_none() {
            layout = match scanner.header(dataset, all) {
                Ok(layout) => layout,
                Err(faults) => {
                    return Ok(Scanned { faults, rejected: true, ..Scanned::default() });
                }
            };
        }
        if let Some(layout) = &layout {
            scanner.rows(dataset, layout, all);
        }
        // A window takes milliseconds to look through; others have their turn.
        tokio::task::yield_now().await;
    }
    let Some(layout) = layout else {
        let fault = RowFault::new(1, None, "file.empty", "The file is empty: not even a header is there.");
        return Ok(Scanned { faults: vec![fault], rejected: true, ..Scanned::default() });
    };
    let mut scanned = scanner.finish();
    scanned.rejected = scanned.skipped > 0 && bad_rows == BadRows::RejectFile;
    scanned.headers = layout.headers().to_vec();
    Ok(scanned)
}

#[derive(Default)]
struct Scanner {
    chunk_bytes: u64,
    /// What is read and not yet looked at.
    bytes: Vec<u8>,
    /// Of their first, in the file.
    at: u64,
    line: u64,
    chunk_start: u64,
    chunk_line: u64,
    chunk_rows: u64,
    /// Within a line that does not end.
    endless: bool,
    tally: Tally,
    chunks: Vec<Chunk>,
    kept: Vec<Skipped>,
}

/// Counts rows.
#[derive(Default)]
struct Tally {
    rows: u64,
    skipped: u64,
    faults: Vec<RowFault>,
}

impl RowSink for Tally {
    fn row(&mut self, _line: u64, _cells: &[Cell<'_>]) {
        self.rows += 1;
    }

    fn skipped(&mut self, fault: RowFault, _content: &[u8]) {
        self.rows += 1;
        self.skipped += 1;
        if self.faults.len() < KEPT_FAULTS {
            self.faults.push(fault);
        }
    }
}

impl Scanner {
    /// The layout by the header, once that is read.
    fn header(&mut self, dataset: &Dataset, all: bool) -> Result<Option<Layout>, Vec<RowFault>> {
        let fault = |code, detail: String| vec![RowFault::new(1, None, code, detail)];
        if self.bytes.starts_with(b"\xff\xfe") || self.bytes.starts_with(b"\xfe\xff") {
            return Err(fault("file.encoding", "The file is UTF-16.".to_owned()));
        }
        let mark = if self.bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let mut splitter = Splitter::new(dataset.delimiter as u8);
        let (len, lines) = match splitter.next(&self.bytes[mark..], all) {
            Split::Record { len, lines } => (len, lines),
            Split::More => return Ok(None),
            Split::End => return Err(fault("file.empty", "The file is empty.".to_owned())),
            Split::Blank { .. } => {
                return Err(fault("header.missing", "The first line is empty.".to_owned()));
            }
            Split::Bad { at, why, .. } => {
                return Err(fault("row.quotes", format!("At byte {} of the header {why}.", at + 1)));
            }
            Split::Endless => {
                return Err(fault("row.too_long", "The header is longer than a MiB.".to_owned()));
            }
        };
        let headers = splitter.fields().map(|field| {
            let text = decode(field, dataset.encoding).map_err(|(code, detail)| fault(code, detail))?;
            Ok::<_, Vec<RowFault>>(text.trim().to_owned())
        });
        let layout = Layout::of(dataset, headers.collect::<Result<_, _>>()?)?;
        self.pass(mark + len, lines);
        self.bytes.drain(..mark + len);
        self.begin_chunk();
        Ok(Some(layout))
    }

    fn rows(&mut self, dataset: &Dataset, layout: &Layout, all: bool) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut rest = &bytes[..];
        let mut reader = RowReader::new(dataset, layout);
        loop {
            if self.endless {
                let len =
                    line_len(rest).unwrap_or(if all { rest.len() } else { rest.len().saturating_sub(1) });
                // A CR at the very end may have its LF in the next window.
                self.endless = line_len(rest).is_none() && !all;
                self.pass(len, u64::from(!self.endless));
                rest = &rest[len..];
                if self.endless {
                    break;
                }
                self.begin_chunk();
            }
            let before = self.tally.rows;
            match reader.next(rest, all, self.line, &mut self.tally) {
                Some((len, lines)) => {
                    self.pass(len, lines);
                    rest = &rest[len..];
                    self.chunk_rows += self.tally.rows - before;
                    if self.at - self.chunk_start >= self.chunk_bytes {
                        self.end_chunk();
                    }
                }
                None if rest.len() > MAX_RECORD_BYTES => self.give_up_line(rest),
                None => break,
            }
        }
        self.bytes = rest.to_vec();
    }

    fn give_up_line(&mut self, line: &[u8]) {
        self.end_chunk();
        let fault = RowFault::new(self.line, None, "row.too_long", "The line is longer than a MiB.");
        self.tally.skipped(fault.clone(), line);
        if self.kept.len() < KEPT_FAULTS {
            self.kept.push(Skipped::new(fault, line));
        }
        self.endless = true;
    }

    fn pass(&mut self, len: usize, lines: u64) {
        self.at += len as u64;
        self.line += lines;
    }

    fn begin_chunk(&mut self) {
        (self.chunk_start, self.chunk_line, self.chunk_rows) = (self.at, self.line, 0);
    }

    /// One without rows is none.
    fn end_chunk(&mut self) {
        if self.chunk_rows > 0 {
            let number = i32::try_from(self.chunks.len()).unwrap_or(i32::MAX);
            let (start, line, rows) = (self.chunk_start, self.chunk_line, self.chunk_rows);
            self.chunks.push(Chunk { number, start, end: self.at, line, rows });
        }
        self.begin_chunk();
    }

    fn finish(mut self) -> Scanned {
        self.end_chunk();
        let Tally { rows, skipped, faults } = self.tally;
        Scanned { chunks: self.chunks, rows, skipped, faults, endless: self.kept, ..Scanned::default() }
    }
}
