//! Files that are not as they should be: what is told of them, and that no good row is lost.

use serde_json::{Value, json};

use super::Bench;
use super::bench::{HEADER, row};

/// A file of these lines below the header.
fn file(lines: &[String]) -> String {
    format!("{HEADER}\n{}\n", lines.join("\n"))
}

#[tokio::test]
async fn bad_rows_are_kept_aside_and_the_good_ones_are_loaded() {
    let bench = Bench::start().await;
    let bad = [
        "2018,1,Ragged,CA",
        "2018,2,\"Unclosed,CA,Solar,1,2",
        "2018,3,Stray\"quote,CA,Solar,1,2",
        "2018,x,No number,CA,Solar,1,2",
        "2018,99999999999999999999,Too large,CA,Solar,1,2",
        "1492,6,Too early,CA,Solar,1,2",
        "2018,7,No such state,XX,Solar,1,2",
        "2018,8,Infinite,CA,Solar,1,1e999",
        "2018,9,,CA,Solar,1,2",
        "2018,10,Nul \0,CA,Solar,1,2",
        "2018,11,Formula,CA,Solar,=1+1,2",
    ];
    let mut lines: Vec<String> = vec![];
    for (at, bad) in bad.iter().enumerate() {
        lines.extend([row(100 + at as u64), (*bad).to_owned()]);
    }
    lines.push(row(200));
    bench.put("mixed.csv", file(&lines));
    let told = bench.ingest().await;
    let (good, all) = (bad.len() + 1, bad.len() * 2 + 1);
    assert_eq!(
        (&told["rows_expected"], &told["rows_loaded"], &told["rows_skipped"]),
        (&json!(all), &json!(good), &json!(bad.len())),
        "{told}"
    );
    assert_eq!(bench.plants().await, good as i64);
    let skipped = bench.skipped().await;
    let expected: Vec<(i64, String)> =
        (0_i64..).zip(bad).map(|(at, bad)| (at * 2 + 3, bad.replace('\0', "\u{fffd}"))).collect();
    let kept: Vec<(i64, String)> = skipped.iter().map(|row| (row.0, row.3.clone())).collect();
    assert_eq!(kept, expected);
    let codes: Vec<&str> = skipped.iter().map(|row| &*row.2).collect();
    let told =
        ["row.ragged", "row.quotes", "row.quotes", "value.type", "value.out_of_range", "value.out_of_range"];
    assert_eq!(codes[..6], told);
    let told = ["value.unknown", "value.out_of_range", "value.missing", "value.nul_character", "value.type"];
    assert_eq!(codes[6..], told);
    assert_eq!(skipped[10].1.as_deref(), Some("capacity_mw"));
}

#[tokio::test]
async fn a_file_that_may_hold_no_bad_row_is_rejected_with_a_report_and_taken_once_it_is_mended() {
    let bench = Bench::start().await;
    let strict = json!({"dataset": "power-plants", "bad_rows": "reject_file"});
    let bad = file(&[row(1), row(2), "2018,3,Three,CA,Solar,much,3".into(), "2018,4".into()]);
    bench.put("strict.csv", &bad);
    bench.put("good.csv", file(&[row(5)]));
    let run = bench.run_with(&strict).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    let told = &run["tasks"][1]["output"];
    assert_eq!((&told["files"], &told["rejected"], &told["rows_loaded"]), (&json!(2), &json!(1), &json!(1)));
    let report = &told["reports"][0];
    assert_eq!((&report["path"], &report["rows_unfit"]), (&json!("power-plants/strict.csv"), &json!(2)));
    let fault = &report["faults"][0];
    let place = (&fault["line"], &fault["column"], &fault["code"]);
    assert_eq!(place, (&json!(4), &json!("capacity_mw"), &json!("value.type")), "{report}");
    assert_eq!(
        (&report["faults"][1]["line"], &report["faults"][1]["code"]),
        (&json!(5), &json!("row.ragged"))
    );
    assert_eq!(bench.plants().await, 1);
    // As it is, it is not looked at again.
    let again = bench.run_with(&strict).await;
    assert_eq!(again["tasks"][0]["output"]["new"], 0, "{again}");
    bench.put("strict.csv", file(&[row(1), row(2), row(3)]));
    let mended = bench.run_with(&strict).await;
    assert_eq!(mended["tasks"][1]["output"]["rows_loaded"], 3, "{mended}");
    assert_eq!(bench.plants().await, 4);
}

#[tokio::test]
async fn files_of_every_shape_are_read_or_told_of() {
    let bench = Bench::start().await;
    let quoted = "2018,3,\"Over \"\"two\"\"\nlines, and a comma\",CA,Solar,1,30";
    let formula = "2018,4,\"=HYPERLINK(\"\"http://x\"\")\",CA,+Solar,1,-5";
    let good: &[(&str, Vec<u8>, i64)] = &[
        ("a-header-only.csv", format!("{HEADER}\n").into_bytes(), 0),
        ("b-header-without-end.csv", HEADER.as_bytes().to_vec(), 0),
        ("c-bom.csv", format!("\u{feff}{}", file(&[row(1)])).into_bytes(), 1),
        ("d-crlf.csv", file(&[row(2)]).replace('\n', "\r\n").into_bytes(), 1),
        ("e-quotes.csv", file(&[quoted.into(), formula.into()]).into_bytes(), 2),
        ("f-order.csv", b"state,year,plant_id,plant_name,net_generation_mwh,capacity_mw,primary_fuel\nTX,2018,5,Five,,,\n".to_vec(), 1),
        ("g-no-end.csv", file(&[row(6)]).trim_end().as_bytes().to_vec(), 1),
    ];
    let bad: &[(&str, Vec<u8>, &str)] = &[
        ("v-empty.csv", vec![], "file.empty"),
        ("w-header.csv", b"year,plant,name\n2018,1,x\n".to_vec(), "header.unknown"),
        ("x-utf-16.csv", b"\xff\xfey\0e\0a\0r\0".to_vec(), "file.encoding"),
        ("y-semicolons.csv", file(&[row(9)]).replace(',', ";").into_bytes(), "header.unknown"),
        ("z-binary.csv", b"\x7fELF\x02\x01\x01\0\0\0\0".to_vec(), "value.nul_character"),
    ];
    for (name, content, _) in good {
        bench.put(name, content);
    }
    for (name, content, _) in bad {
        bench.put(name, content);
    }
    // A Latin-1 letter is one row's fault, not the file's.
    bench.put("h-latin-1.csv", [file(&[row(7)]).as_bytes(), b"2018,8,Caf\xe9,CA,Solar,1,2\n"].concat());
    let told = bench.ingest().await;
    let rows = good.iter().map(|(.., rows)| rows).sum::<i64>() + 1;
    assert_eq!(bench.plants().await, rows, "{told}");
    assert_eq!((&told["rejected"], &told["rows_loaded"]), (&json!(bad.len()), &json!(rows)), "{told}");
    let reports = told["reports"].as_array().unwrap();
    for ((name, _, code), report) in bad.iter().zip(reports) {
        let expected = (json!(format!("power-plants/{name}")), json!(code));
        assert_eq!((report["path"].clone(), report["faults"][0]["code"].clone()), expected, "{report}");
    }
    let skipped = bench.skipped().await;
    assert_eq!((skipped.len(), skipped[0].0, &*skipped[0].2), (1, 3, "value.encoding"));
    let client = bench.app.db.pool.client().await.unwrap();
    let sql = "select plant_name, primary_fuel, net_generation_mwh from ingested.power_plant where plant_id in (3, 4)
               order by plant_id";
    let rows = client.query(sql, &[]).await.unwrap();
    assert_eq!(rows[0].get::<_, &str>(0), "Over \"two\"\nlines, and a comma");
    // A formula is a text like any other: nothing here computes it.
    assert_eq!((rows[1].get(0), rows[1].get(1)), ("=HYPERLINK(\"http://x\")", "+Solar"));
    assert_eq!(rows[1].get::<_, f64>(2), -5.0);
}

#[tokio::test]
async fn one_row_a_key_stands_the_last_of_the_file() {
    let bench = Bench::start().await;
    let twice = ["2018,1,Old,CA,Solar,1,2", "2018,2,Other,CA,Solar,1,2", "2018,1,New,NV,Wind,3,4"];
    bench.put("twice.csv", file(&twice.map(str::to_owned)));
    let told = bench.ingest().await;
    assert_eq!((&told["rows_loaded"], &told["rows_changed"]), (&json!(3), &json!(2)), "{told}");
    let new = "select count(*) from ingested.power_plant where plant_id = 1 and plant_name = 'New' and state = 'NV'";
    assert_eq!((bench.count(new).await, bench.plants().await), (1, 2));
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_refused() {
    let bench = Bench::start().await;
    let unknown = bench.run_with(&json!({"dataset": "nothing"})).await;
    assert_eq!(
        (&unknown["status"], &unknown["error"]["code"]),
        (&json!("failed"), &json!("dataset.unknown"))
    );
    for input in [json!({}), json!({"dataset": "power-plants", "bad_rows": "x"}), json!({"dataset": 1})] {
        let answer = bench.app.run_flow(&bench.token, &json!("ingest"), &input).await;
        answer.refused(422, "flow.input_invalid");
    }
    let learner =
        bench.app.post("/login", "", &json!({"username": "ann", "password": "correct horse"})).await;
    let learner = learner.body["token"].as_str().unwrap().to_owned();
    let answer = bench.app.run_flow(&learner, &json!("ingest"), &json!({"dataset": "power-plants"})).await;
    answer.refused(403, "flow.forbidden");
    let none =
        bench.app.run_flow(&bench.token, &json!("ingest-chunk"), &json!({"file": 1, "chunk": 0})).await;
    assert_eq!(none.body["error"]["code"], Value::from("ingest.chunk_unknown"), "{}", none.body);
}
