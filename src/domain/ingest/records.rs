//! CSV as RFC 4180 has it, cut into records and fields with the place of every fault known. Stricter than readers that
//! guess: a quote that is out of place is told, and costs the one line on which its record begins.

/// The most bytes a record may have; what is longer is no row, and is never held in memory.
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// Splits bytes into records, one at a time. Holds the fields of the last one.
pub struct Splitter {
    delimiter: u8,
    fields: Vec<u8>,
    /// Where each field ends in `fields`.
    ends: Vec<usize>,
}

/// What stands at the beginning of the bytes. `len` is what it takes of them, its line's end included, and `lines` how
/// many lines that is.
#[derive(Debug, PartialEq, Eq)]
pub enum Split {
    Record {
        len: usize,
        lines: u64,
    },
    /// A line with nothing on it.
    Blank {
        len: usize,
    },
    /// A line that no record can begin on; `at` is the byte, from 0, where that shows.
    Bad {
        len: usize,
        at: usize,
        why: &'static str,
    },
    /// It does not end within these bytes.
    More,
    /// A line that is longer than a record may be.
    Endless,
    /// There are no bytes, and no more come.
    End,
}

const STRAY: &str = "a quote stands within a field that does not begin with one";
const AFTER: &str = "something follows the quote that closes a field";
const UNCLOSED: &str = "a quote is opened and not closed";
const TOO_LONG: &str = "a quote is opened and not closed within a MiB";

impl Splitter {
    pub fn new(delimiter: u8) -> Self {
        Self { delimiter, fields: Vec::new(), ends: Vec::new() }
    }

    /// The last record's fields, without quotes around them and with the doubled ones within single.
    pub fn fields(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.fields[start..*end])
    }

    /// `all`: no bytes come after these.
    pub fn next(&mut self, bytes: &[u8], all: bool) -> Split {
        if bytes.len() <= MAX_RECORD_BYTES {
            return self.split(bytes, all);
        }
        let bytes = &bytes[..MAX_RECORD_BYTES];
        match self.split(bytes, false) {
            Split::More => match line_len(bytes) {
                Some(len) => Split::Bad { len, at: 0, why: TOO_LONG },
                None => Split::Endless,
            },
            split => split,
        }
    }

    fn split(&mut self, bytes: &[u8], all: bool) -> Split {
        self.fields.clear();
        self.ends.clear();
        match bytes {
            [] if all => return Split::End,
            [] => return Split::More,
            _ => {}
        }
        if let Some(len) = line_end(bytes, 0, all) {
            return len.map_or(Split::More, |len| Split::Blank { len });
        }
        let mut at = 0;
        // Only a quoted field can hold the end of a line.
        let mut quotes = false;
        loop {
            quotes |= bytes.get(at) == Some(&b'"');
            let ended = match bytes.get(at) {
                Some(b'"') => self.quoted(bytes, &mut at, all),
                _ => self.plain(bytes, &mut at),
            };
            match ended {
                Ok(()) => self.ends.push(self.fields.len()),
                Err((_, UNCLOSED)) if !all => return Split::More,
                Err((wrong, why)) => return bad(bytes, wrong, why, all),
            }
            match bytes.get(at) {
                Some(byte) if *byte == self.delimiter => at += 1,
                Some(_) => match line_end(bytes, at, all) {
                    Some(Some(len)) => {
                        let lines = if quotes { lines_in(&bytes[..len]) } else { 1 };
                        return Split::Record { len, lines };
                    }
                    Some(None) => return Split::More,
                    None => return bad(bytes, at, AFTER, all),
                },
                None if all => return Split::Record { len: at, lines: lines_in(bytes) + 1 },
                None => return Split::More,
            }
        }
    }

    fn plain(&mut self, bytes: &[u8], at: &mut usize) -> Result<(), (usize, &'static str)> {
        let rest = &bytes[*at..];
        let end =
            rest.iter().position(|byte| *byte == self.delimiter || matches!(byte, b'"' | b'\n' | b'\r'));
        let len = end.unwrap_or(rest.len());
        self.fields.extend_from_slice(&rest[..len]);
        *at += len;
        match bytes.get(*at) {
            Some(b'"') => Err((*at, STRAY)),
            _ => Ok(()),
        }
    }

    /// From the opening quote to after the closing one.
    fn quoted(&mut self, bytes: &[u8], at: &mut usize, all: bool) -> Result<(), (usize, &'static str)> {
        let opened = *at;
        *at += 1;
        loop {
            let rest = &bytes[*at..];
            let Some(len) = rest.iter().position(|byte| *byte == b'"') else {
                return Err((opened, UNCLOSED));
            };
            self.fields.extend_from_slice(&rest[..len]);
            *at += len + 1;
            match bytes.get(*at) {
                Some(b'"') => {
                    self.fields.push(b'"');
                    *at += 1;
                }
                // It may be the first of two.
                None if !all => return Err((opened, UNCLOSED)),
                _ => return Ok(()),
            }
        }
    }
}

/// Gives up the line that the record begins on.
fn bad(bytes: &[u8], at: usize, why: &'static str, all: bool) -> Split {
    match line_len(bytes) {
        Some(len) => Split::Bad { len, at, why },
        None if all => Split::Bad { len: bytes.len(), at, why },
        None => Split::More,
    }
}

/// How long the first line is with its end, if that is among the bytes.
pub fn line_len(bytes: &[u8]) -> Option<usize> {
    let at = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'))?;
    line_end(bytes, at, false).flatten()
}

/// Whether a line ends at this byte, and then after how many bytes, if that can be told.
fn line_end(bytes: &[u8], at: usize, all: bool) -> Option<Option<usize>> {
    match (bytes[at], bytes.get(at + 1)) {
        (b'\n', _) => Some(Some(at + 1)),
        (b'\r', Some(b'\n')) => Some(Some(at + 2)),
        (b'\r', None) if !all => Some(None),
        (b'\r', _) => Some(Some(at + 1)),
        _ => None,
    }
}

/// Ends of lines: LF, CR LF and CR.
fn lines_in(bytes: &[u8]) -> u64 {
    let mut lines = 0;
    let mut after_return = false;
    for byte in bytes {
        lines += u64::from(*byte == b'\r' || (*byte == b'\n' && !after_return));
        after_return = *byte == b'\r';
    }
    lines
}
