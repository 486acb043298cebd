use std::collections::BTreeMap;
use std::ops::Range;

use async_trait::async_trait;

use super::records::{Split, Splitter};
use super::scan::scan;
use super::*;
use crate::objects::Objects;

fn fields(splitter: &Splitter) -> Vec<String> {
    splitter.fields().map(|field| String::from_utf8_lossy(field).into_owned()).collect()
}

/// All records, and the beginnings of what is none.
fn split(text: &str) -> (Vec<Vec<String>>, Vec<&'static str>) {
    let mut splitter = Splitter::new(b',');
    let (mut rest, mut records, mut bad) = (text.as_bytes(), vec![], vec![]);
    loop {
        let len = match splitter.next(rest, true) {
            Split::End => return (records, bad),
            Split::Record { len, .. } => {
                records.push(fields(&splitter));
                len
            }
            Split::Blank { len } => len,
            Split::Bad { len, why, .. } => {
                bad.push(why);
                len
            }
            other => panic!("{other:?} of {rest:?}"),
        };
        rest = &rest[len..];
    }
}

#[test]
fn what_rfc_4180_allows_is_read_as_others_read_it() {
    for text in [
        "a,b\n1,2\n",
        "a,b\r\n1,2",
        "a,b\r1,2\r",
        "\"a\",\"b,c\"\n\"x\"\"y\",\"\"\n",
        "\"over\ntwo lines\",\"and\r\nmore\"\n,\n",
        "a,,\n,,\n",
        "ä,ß\n\"€\",x\n",
        "\n\na\n",
        "\"\"\n",
    ] {
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        let theirs: Vec<Vec<String>> =
            reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect();
        assert_eq!(split(text), (theirs, vec![]), "{text:?}");
    }
}

#[test]
fn a_quote_out_of_place_costs_the_line_it_begins_on() {
    for (text, good) in [
        ("a\"b,c\nd,e\n", vec!["d,e"]),
        ("\"a\"b,c\nd,e\n", vec!["d,e"]),
        ("\"a,b\nc,d\ne,f", vec!["c,d", "e,f"]),
        ("a,b\n\"x\n", vec!["a,b"]),
        ("1,\"a\n2,d\n3,\"g\"\n", vec!["2,d", "3,g"]),
    ] {
        let (records, bad) = split(text);
        assert_eq!(records.iter().map(|record| record.join(",")).collect::<Vec<_>>(), good, "{text:?}");
        assert_eq!(bad.len(), 1, "{text:?}");
    }
}

#[test]
fn bytes_that_end_too_soon_are_asked_for_and_change_nothing() {
    let text = "a,\"b\"\"\r\nc\"\r\nd,e\r\n\"x\r\n".as_bytes();
    let mut splitter = Splitter::new(b',');
    let whole = splitter.next(text, true);
    assert_eq!(whole, Split::Record { len: 12, lines: 2 });
    let expected = fields(&splitter);
    for end in 0..12 {
        let cut = splitter.next(&text[..end], false);
        assert!(cut == Split::More, "{end}: {cut:?}");
    }
    assert_eq!(splitter.next(&text[..12], false), whole);
    assert_eq!(fields(&splitter), expected);
}

/// One file.
struct One(Vec<u8>);

#[async_trait]
impl Objects for One {
    async fn list(&self, _: &str) -> Result<Vec<Object>> {
        unreachable!("nobody lists")
    }

    async fn read(&self, _: &Object, range: Range<u64>) -> Result<Vec<u8>> {
        Ok(self.0[range.start as usize..range.end as usize].to_vec())
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }
}

fn dataset() -> Dataset {
    let toml = "description = \"d\"\ntable = \"t\"\nfolder = \"f\"\nkey = [\"id\"]\n\
        columns = [{ name = \"id\", type = \"integer\", required = true, min = 1, max = 1e6 },
            { name = \"name\", header = \"Name\", type = \"text\", max_length = 3 },
            { name = \"size\", type = \"number\" }, { name = \"yes\", type = \"boolean\" },
            { name = \"day\", type = \"date\" }, { name = \"at\", type = \"time\" }]";
    Dataset::read("d", toml).unwrap()
}

async fn scanned(text: impl AsRef<[u8]>, chunk_bytes: u64) -> Scanned {
    let bytes = text.as_ref().to_vec();
    let object = Object { path: "f/x.csv".into(), etag: "1".into(), size_bytes: bytes.len() as u64 };
    scan(&dataset(), BadRows::SkipRows, &One(bytes), &object, chunk_bytes).await.unwrap()
}

/// Counts.
#[derive(Default)]
struct Rows(BTreeMap<u64, usize>, Vec<RowFault>);

impl RowSink for Rows {
    fn row(&mut self, line: u64, cells: &[Cell<'_>]) {
        self.0.insert(line, cells.len());
    }

    fn skipped(&mut self, fault: RowFault, _: &[u8]) {
        self.1.push(fault);
    }
}

const HEADER: &str = "id,Name,size,yes,day,at\n";

#[tokio::test]
async fn chunks_read_one_by_one_hold_what_the_file_holds() {
    let mut text = HEADER.to_owned();
    for id in 1..=300 {
        let row = match id % 7 {
            0 => format!("{id},\"a\nb\",1,true,2026-01-02,2026-01-02T03:04:05Z\n"),
            1 => format!("{id},\"unclosed,1,,,\n"),
            2 => format!("{id},too long,,,,\n\n"),
            3 => format!("{id},a\"b,,,,\r\n"),
            _ => format!("{id},abc,1.5,false,,\r\n"),
        };
        text += &row;
    }
    let dataset = dataset();
    let whole = scanned(&text, u64::MAX).await;
    let layout = Layout::of(&dataset, whole.headers.clone()).unwrap();
    let mut all = Rows::default();
    read_rows(&dataset, &layout, &text.as_bytes()[HEADER.len()..], 2, &mut all);
    assert_eq!((whole.rows, whole.skipped), (300, all.1.len() as u64));
    assert!(all.0.len() > 150 && all.1.len() > 100);
    for chunk_bytes in [1, 17, 64, 500, 4000] {
        let cut = scanned(&text, chunk_bytes).await;
        assert_eq!((cut.rows, cut.skipped, &cut.faults), (whole.rows, whole.skipped, &whole.faults));
        let mut parts = Rows::default();
        for chunk in &cut.chunks {
            let bytes = &text.as_bytes()[chunk.start as usize..chunk.end as usize];
            read_rows(&dataset, &layout, bytes, chunk.line, &mut parts);
        }
        assert_eq!(parts.0, all.0, "{chunk_bytes}");
        let (mut one, mut other) = (parts.1, all.1.clone());
        one.sort_by_key(|fault| fault.line);
        other.sort_by_key(|fault| fault.line);
        // Of a quote that is not closed the end of the chunk is the end.
        let places =
            |faults: Vec<RowFault>| faults.into_iter().map(|it| (it.line, it.code)).collect::<Vec<_>>();
        assert_eq!(places(one), places(other), "{chunk_bytes}");
        assert_eq!(cut.chunks.iter().map(|chunk| chunk.rows).sum::<u64>(), 300);
    }
}

#[tokio::test]
async fn a_line_without_end_is_in_no_chunk_and_what_follows_is() {
    let long = "x".repeat(3 * MAX_RECORD_BYTES + 5);
    let file = scanned(format!("{HEADER}1,a,,,,\n2,{long},,,,\r\n3,b,,,,\n"), u64::MAX).await;
    assert_eq!((file.rows, file.skipped, file.endless.len()), (3, 1, 1));
    assert_eq!((file.faults[0].line, &*file.faults[0].code), (3, "row.too_long"));
    let places: Vec<(u64, u64)> =
        file.chunks.iter().map(|chunk| (chunk.line, chunk.end - chunk.start)).collect();
    assert_eq!(places, [(2, 8), (4, 8)]);
    assert!(file.endless[0].content.len() <= 1000);
    // Nor is a quote that never closes held in memory.
    let file = scanned(format!("{HEADER}1,\"a,,,,\n{}", "2,b,,,,\n".repeat(200_000)), u64::MAX).await;
    assert_eq!((file.rows, file.skipped, file.faults[0].line), (200_001, 1, 2));
}

#[tokio::test]
async fn every_kind_of_field_says_what_is_wrong_with_it() {
    for (row, column, code) in [
        ("x,a,,,,", "id", "value.type"),
        (",a,,,,", "id", "value.missing"),
        ("0,a,,,,", "id", "value.out_of_range"),
        ("99999999999999999999,a,,,,", "id", "value.out_of_range"),
        ("1,abcd,,,,", "Name", "value.too_long"),
        ("1,a,inf,,,", "size", "value.type"),
        ("1,a,NaN,,,", "size", "value.type"),
        ("1,a,1e999,,,", "size", "value.out_of_range"),
        ("1,a,=1+1,,,", "size", "value.type"),
        ("1,a,,yes,,", "yes", "value.type"),
        ("1,a,,,2026-02-30,", "day", "value.type"),
        ("1,a,,,,2026-02-01T10:00", "at", "value.type"),
        ("1,a\0,,,,", "Name", "value.nul_character"),
    ] {
        let file = scanned(format!("{HEADER}{row}\n"), 9).await;
        let fault = &file.faults[0];
        assert_eq!((fault.line, fault.column.as_deref(), &*fault.code), (2, Some(column), code), "{row}");
    }
    for (row, code) in [("1,a", "row.ragged"), ("1,a,,,,,", "row.ragged"), ("1,a\"b,,,,", "row.quotes")] {
        assert_eq!(&*scanned(format!("{HEADER}{row}\n"), 9).await.faults[0].code, code);
    }
    for (text, code) in [
        ("", "file.empty"),
        ("\u{feff}", "file.empty"),
        ("\n1", "header.missing"),
        ("id,Name,size,yes,day\n", "header.missing"),
        ("id,Name,size,yes,day,at,more\n", "header.unknown"),
        ("id,Name,size,yes,day,at,at\n", "header.twice"),
    ] {
        let file = scanned(text, 9).await;
        assert!(file.rejected && file.chunks.is_empty(), "{text:?}");
        assert_eq!(&*file.faults[0].code, code, "{text:?}");
    }
}

#[test]
fn a_dataset_says_everything_that_is_wrong_with_it() {
    let toml = "description = \"d\"\ntable = \"T;\"\nfolder = \"../f\"\nkey = [\"id\", \"no\"]\ndelimiter = '\"'\n\
        columns = [{ name = \"id\", type = \"text\" }, { name = \"id\", type = \"text\" }]";
    let faults = Dataset::read("Bad Name", toml).unwrap_err();
    assert_eq!(faults.len(), 9, "{faults:#?}");
    let unknown = Dataset::read("d", "descrption = \"d\"").unwrap_err();
    assert!(unknown[0].contains("descrption"), "{unknown:?}");
    let _ = Arc::new(dataset());
}
