//! Much of it: many small files, and one line of a gigabyte.

use std::io::Write;

use serde_json::json;

use super::Bench;
use super::bench::{HEADER, row};

#[tokio::test]
#[ignore = "long: ten thousand files"]
async fn ten_thousand_small_files_are_all_in() {
    let bench = Bench::start().await;
    for file in 0..10_000 {
        bench.put(
            &format!("{file:05}.csv"),
            format!("{HEADER}\n{}\n{}\n", row(file * 2 + 1), row(file * 2 + 2)),
        );
    }
    let told = bench.ingest().await;
    let counts = (&told["files"], &told["rows_expected"], &told["rows_loaded"], &told["rejected"]);
    assert_eq!(counts, (&json!(10_000), &json!(20_000), &json!(20_000), &json!(0)), "{told}");
    assert_eq!(bench.plants().await, 20_000);
}

#[tokio::test]
#[ignore = "long: a line of a gigabyte"]
async fn a_line_of_a_gigabyte_is_refused_without_the_memory_for_it() {
    let bench = Bench::start().await;
    let mut file = std::fs::File::create(bench.path("long.csv")).unwrap();
    write!(file, "{HEADER}\n{}\n2018,2,", row(1)).unwrap();
    let part = vec![b'x'; 1 << 20];
    (0..1024).for_each(|_| file.write_all(&part).unwrap());
    write!(file, "\n{}\n", row(3)).unwrap();
    drop(file);
    let before = bench.app.memory_kb();
    let told = bench.ingest().await;
    assert_eq!((&told["rows_loaded"], &told["rows_skipped"]), (&json!(2), &json!(1)), "{told}");
    assert_eq!(bench.plants().await, 2);
    let skipped = bench.skipped().await;
    assert_eq!((skipped[0].0, &*skipped[0].2), (3, "row.too_long"));
    let grown = bench.app.memory_kb().saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} kB more at its peak");
}
