//! Rows as binary COPY takes them: PostgreSQL's manual, "COPY", section "Binary Format".

use flow_domain::ingest::{Cell, Dataset, RowFault, RowSink, Skipped};

const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// PostgreSQL counts days and microseconds from 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// A chunk's rows, each encoded as it comes.
pub(super) struct Encoder {
    key: Vec<usize>,
    rows: Vec<u8>,
    keys: Vec<u8>,
    entries: Vec<Entry>,
    pub count: u64,
    pub skipped: Vec<Skipped>,
}

/// Where a row and its key are.
struct Entry {
    key: (usize, usize),
    row: (usize, usize),
}

impl Encoder {
    pub fn new(dataset: &Dataset, bytes: usize) -> Self {
        let (rows, key) = (Vec::with_capacity(bytes * 3 / 2), dataset.key_positions());
        Self { key, rows, keys: vec![], entries: vec![], count: 0, skipped: vec![] }
    }

    /// One row a key, the last of them, in an order of the keys that is the same everywhere: so no two transactions
    /// wait for each other's rows.
    pub fn finish(mut self) -> (Vec<u8>, u64, Vec<Skipped>) {
        let keys = &self.keys;
        // Stable: of one key they stay in the order of their lines.
        self.entries.sort_by(|one, other| keys[one.key.0..one.key.1].cmp(&keys[other.key.0..other.key.1]));
        let mut copy = Vec::with_capacity(self.rows.len() + HEADER.len() + 2);
        copy.extend_from_slice(HEADER);
        for (at, entry) in self.entries.iter().enumerate() {
            let key = &keys[entry.key.0..entry.key.1];
            let next = self.entries.get(at + 1).map(|next| &keys[next.key.0..next.key.1]);
            if next != Some(key) {
                copy.extend_from_slice(&self.rows[entry.row.0..entry.row.1]);
            }
        }
        copy.extend_from_slice(&(-1_i16).to_be_bytes());
        (copy, self.count, self.skipped)
    }
}

impl RowSink for Encoder {
    fn row(&mut self, line: u64, cells: &[Cell<'_>]) {
        let (key, row) = (self.keys.len(), self.rows.len());
        // A table has at most 1,600 columns.
        self.rows.extend_from_slice(&(cells.len() as i16 + 1).to_be_bytes());
        field(&mut self.rows, &super::signed(line).to_be_bytes());
        for cell in cells {
            encode(&mut self.rows, cell);
        }
        for position in &self.key {
            encode(&mut self.keys, &cells[*position]);
        }
        self.entries.push(Entry { key: (key, self.keys.len()), row: (row, self.rows.len()) });
        self.count += 1;
    }

    fn skipped(&mut self, fault: RowFault, content: &[u8]) {
        self.skipped.push(Skipped::new(fault, content));
    }
}

fn encode(to: &mut Vec<u8>, cell: &Cell<'_>) {
    match cell {
        Cell::Null => to.extend_from_slice(&(-1_i32).to_be_bytes()),
        Cell::Integer(number) => field(to, &number.to_be_bytes()),
        Cell::Number(number) => field(to, &number.to_be_bytes()),
        Cell::Text(text) => field(to, text.as_bytes()),
        Cell::Boolean(yes) => field(to, &[u8::from(*yes)]),
        Cell::Date(date) => {
            let days = date.duration_since(jiff::civil::date(1970, 1, 1)).as_hours() / 24;
            // jiff's years end at 9999.
            field(to, &(days as i32 - EPOCH_DAYS).to_be_bytes());
        }
        Cell::Time(time) => field(to, &(time.as_microsecond() - EPOCH_MICROS).to_be_bytes()),
    }
}

/// A record is no longer than a MiB.
fn field(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
    to.extend_from_slice(bytes);
}
