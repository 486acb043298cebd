//! From fields to typed rows: what fits a dataset's columns, and what is wrong with what does not.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::dataset::{Column, ColumnKind, Dataset, Encoding, OtherHeaders};
use super::records::{Split, Splitter};

/// One field, typed.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    Null,
    Integer(i64),
    Number(f64),
    Text(Cow<'a, str>),
    Boolean(bool),
    Date(Date),
    Time(Timestamp),
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowFault {
    /// From 1, as an editor counts.
    pub line: u64,
    /// The header of the column, if it is one column's fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    pub code: Cow<'static, str>,
    pub detail: String,
}

impl RowFault {
    pub fn new(line: u64, column: Option<&str>, code: &'static str, detail: impl Into<String>) -> Self {
        Self { line, column: column.map(str::to_owned), code: code.into(), detail: detail.into() }
    }
}

/// Hears of each row.
pub trait RowSink {
    /// `cells` are the dataset's columns, in order.
    fn row(&mut self, line: u64, cells: &[Cell<'_>]);
    /// `content` is the row as the file has it.
    fn skipped(&mut self, fault: RowFault, content: &[u8]);
}

/// Where a dataset's columns are in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    positions: Vec<usize>,
    headers: Vec<String>,
}

impl Layout {
    /// By the file's header; the error is every fault of it.
    pub fn of(dataset: &Dataset, headers: Vec<String>) -> Result<Self, Vec<RowFault>> {
        let fault = |column: &str, code, detail: String| RowFault::new(1, Some(column), code, detail);
        let mut faults = vec![];
        for (at, header) in headers.iter().enumerate() {
            if headers[..at].contains(header) {
                faults.push(fault(header, "header.twice", format!("The header {header:?} is there twice.")));
            } else if dataset.other_headers == OtherHeaders::Refuse
                && dataset.columns.iter().all(|column| column.header() != header)
            {
                faults.push(fault(header, "header.unknown", format!("The header {header:?} is not known.")));
            }
        }
        let mut positions = vec![];
        for column in &dataset.columns {
            let header = column.header();
            match headers.iter().position(|other| other == header) {
                Some(position) => positions.push(position),
                None => {
                    let detail = format!("The header {header:?} is missing.");
                    faults.push(fault(header, "header.missing", detail));
                }
            }
        }
        if faults.is_empty() { Ok(Self { positions, headers }) } else { Err(faults) }
    }

    pub fn headers(&self) -> &[String] {
        &self.headers
    }
}

/// Reads whole records; `line` is that of the first byte. Answers the line after the last.
pub fn read_rows(
    dataset: &Dataset,
    layout: &Layout,
    bytes: &[u8],
    first_line: u64,
    sink: &mut dyn RowSink,
) -> u64 {
    let mut reader = RowReader::new(dataset, layout);
    let (mut rest, mut line) = (bytes, first_line);
    while let Some((len, lines)) = reader.next(rest, true, line, sink) {
        rest = &rest[len..];
        line += lines;
    }
    line
}

/// One record after another.
pub struct RowReader<'d> {
    dataset: &'d Dataset,
    layout: &'d Layout,
    splitter: Splitter,
}

impl<'d> RowReader<'d> {
    pub fn new(dataset: &'d Dataset, layout: &'d Layout) -> Self {
        // A dataset's delimiter is ASCII.
        Self { dataset, layout, splitter: Splitter::new(dataset.delimiter as u8) }
    }

    /// Takes the record at the beginning; answers its bytes and lines, or none when it does not end there.
    pub fn next(
        &mut self,
        bytes: &[u8],
        all: bool,
        line: u64,
        sink: &mut dyn RowSink,
    ) -> Option<(usize, u64)> {
        match self.splitter.next(bytes, all) {
            Split::End | Split::More | Split::Endless => None,
            Split::Blank { len } => Some((len, 1)),
            Split::Bad { len, at, why } => {
                let detail = format!("At byte {} of the line {why}.", at + 1);
                sink.skipped(RowFault::new(line, None, "row.quotes", detail), &bytes[..len]);
                Some((len, 1))
            }
            Split::Record { len, lines } => {
                match self.row(line) {
                    Ok(cells) => sink.row(line, &cells),
                    Err(fault) => sink.skipped(fault, &bytes[..len]),
                }
                Some((len, lines))
            }
        }
    }

    fn row(&self, line: u64) -> Result<Vec<Cell<'_>>, RowFault> {
        let fields: Vec<&[u8]> = self.splitter.fields().collect();
        let width = self.layout.headers.len();
        if fields.len() != width {
            let detail = format!("There are {} fields, and {width} headers.", fields.len());
            return Err(RowFault::new(line, None, "row.ragged", detail));
        }
        let columns = self.dataset.columns.iter().zip(&self.layout.positions);
        let cell = |(column, position): (&Column, &usize)| {
            cell(column, fields[*position], self.dataset.encoding)
                .map_err(|(code, detail)| RowFault::new(line, Some(column.header()), code, detail))
        };
        columns.map(cell).collect()
    }
}

type Wrong = (&'static str, String);

fn cell<'a>(column: &Column, bytes: &'a [u8], encoding: Encoding) -> Result<Cell<'a>, Wrong> {
    let text = decode(bytes, encoding)?;
    let plain = text.trim();
    if plain.is_empty() {
        return match column.required {
            true => Err(("value.missing", "The field is empty.".to_owned())),
            false => Ok(Cell::Null),
        };
    }
    let wrong = |what: &str| ("value.type", format!("{} is not {what}.", shown(plain)));
    match column.kind {
        ColumnKind::Text => {
            if column.max_length.is_some_and(|max| text.len() > max && text.chars().count() > max) {
                let detail =
                    format!("The text is longer than {} characters.", column.max_length.unwrap_or(0));
                return Err(("value.too_long", detail));
            }
            if !column.one_of.is_empty() && column.one_of.iter().all(|known| *known != text) {
                return Err(("value.unknown", format!("{} is none of the known values.", shown(&text))));
            }
            Ok(Cell::Text(text))
        }
        ColumnKind::Integer => match plain.parse::<i64>() {
            Ok(number) => within(column, number as f64, plain).map(|()| Cell::Integer(number)),
            Err(error) => Err(match error.kind() {
                std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
                    out_of_range(plain)
                }
                _ => wrong("a whole number"),
            }),
        },
        ColumnKind::Number => {
            // Rust reads words such as `inf` too.
            let number = plain.parse::<f64>().ok().filter(|_| !plain.contains(['n', 'N', 'i', 'I']));
            let number = number.ok_or_else(|| wrong("a number"))?;
            if number.is_infinite() {
                return Err(out_of_range(plain));
            }
            within(column, number, plain).map(|()| Cell::Number(number))
        }
        ColumnKind::Boolean => match plain {
            "true" => Ok(Cell::Boolean(true)),
            "false" => Ok(Cell::Boolean(false)),
            _ => Err(wrong("true or false")),
        },
        ColumnKind::Date => plain.parse().map(Cell::Date).map_err(|_| wrong("a date such as 2026-11-21")),
        ColumnKind::Time => {
            plain.parse().map(Cell::Time).map_err(|_| wrong("a time such as 2026-11-21T10:00:00Z"))
        }
    }
}

pub(super) fn decode(bytes: &[u8], encoding: Encoding) -> Result<Cow<'_, str>, Wrong> {
    if bytes.contains(&0) {
        return Err(("value.nul_character", "The field holds a NUL, which no text can.".to_owned()));
    }
    match encoding {
        Encoding::Latin1 if !bytes.is_ascii() => Ok(bytes.iter().map(|byte| char::from(*byte)).collect()),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Cow::Borrowed(text)),
            Err(error) => {
                let at = error.valid_up_to() + 1;
                Err(("value.encoding", format!("Byte {at} of the field is not UTF-8.")))
            }
        },
    }
}

fn within(column: &Column, number: f64, text: &str) -> Result<(), Wrong> {
    let low = column.min.is_some_and(|min| number < min);
    let high = column.max.is_some_and(|max| number > max);
    if low || high { Err(out_of_range(text)) } else { Ok(()) }
}

fn out_of_range(text: &str) -> Wrong {
    ("value.out_of_range", format!("{} is out of range.", shown(text)))
}

/// The beginning is enough to find it.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(40).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}
