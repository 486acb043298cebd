//! The layer law, read from manifests and sources.
//!
//! domain: nothing of ours, no HTTP, no SQL · tasks: the domain · driven: the domain · driver: the domain; its
//! command line starts everything, so that may reach `app` and `config` too · `app` and `main` join all.

mod source;

use std::fs;
use std::path::Path;

use source::{Source, sources};

/// The longest a source file may be.
const MAX_LINES: usize = 300;
/// Crates that speak to the outside.
const OUTSIDE: &[&str] = &[
    "rocket",
    "postgres",
    "tokio-postgres",
    "deadpool-postgres",
    "reqwest",
    "hyper",
    "rustix",
    "flow-manager",
];

#[test]
fn the_domain_knows_no_http_no_sql_and_no_network() {
    let wanted = dependencies("src/domain/Cargo.toml");
    for (name, features) in &wanted {
        assert!(!OUTSIDE.contains(&name.as_str()) && name != "flow-tasks", "flow-domain depends on {name}");
        for feature in ["full", "net", "process", "fs"] {
            assert!(
                !features.iter().any(|wanted| wanted == feature),
                "flow-domain wants {feature} of {name}"
            );
        }
    }
    assert!(wanted.iter().any(|(name, features)| name == "tokio" && !features.is_empty()), "{wanted:?}");
}

#[test]
fn a_task_knows_only_the_domain() {
    let wanted = dependencies("tasks/Cargo.toml");
    for (name, _) in &wanted {
        assert!(!OUTSIDE.contains(&name.as_str()), "flow-tasks depends on {name}");
    }
    assert!(wanted.iter().any(|(name, _)| name == "flow-domain"), "{wanted:?}");
}

#[test]
fn drivers_and_driven_never_meet() {
    no_path("src/driver", |_| &["driven"]);
    no_path("src/driven", |_| &["driver"]);
}

#[test]
fn only_the_command_line_reaches_what_joins_the_layers() {
    no_path("src/driven", |_| &["app", "config"]);
    no_path("src/driver", |file| if file.starts_with("src/driver/cli") { &[] } else { &["app", "config"] });
}

#[test]
fn sql_is_written_only_in_the_adapter_of_postgresql() {
    let elsewhere = [sources("src"), sources("tasks")].concat();
    let elsewhere = elsewhere.iter().filter(|source| !source.file.starts_with("src/driven/postgres/"));
    let found: Vec<String> = elsewhere
        .flat_map(|source| {
            let sql = source.strings.iter().filter(|text| is_sql(text));
            sql.map(move |text| format!("{}: {text:?}", source.file))
        })
        .collect();
    assert!(found.is_empty(), "{found:#?}");
    let adapter = sources("src/driven/postgres");
    assert!(
        adapter.iter().any(|source| source.strings.iter().any(|text| is_sql(text))),
        "SQL is not recognised"
    );
}

#[test]
fn no_file_is_longer_than_can_be_read_at_once() {
    let all = ["src", "tasks", "tests"].map(sources).concat();
    let long = all.iter().filter(|source| source.lines > MAX_LINES);
    let long: Vec<String> = long.map(|source| format!("{}: {} lines", source.file, source.lines)).collect();
    assert!(long.is_empty(), "over {MAX_LINES} lines, split them by idea: {long:#?}");
}

/// Fails with every file below `folder` that names one of the modules forbidden to it.
fn no_path(folder: &str, forbidden: impl Fn(&str) -> &'static [&'static str]) {
    let crossing = |source: &Source| {
        let modules = source.modules_of_ours();
        // Tests of a driver may put it on real adapters.
        if source.file.contains("/tests/") {
            return None;
        }
        let found: Vec<&str> =
            forbidden(&source.file).iter().copied().filter(|name| modules.contains(*name)).collect();
        (!found.is_empty()).then(|| format!("{} reaches {}", source.file, found.join(", ")))
    };
    let found: Vec<String> = sources(folder).iter().filter_map(crossing).collect();
    assert!(found.is_empty(), "{found:#?}");
}

/// Whether a string is a statement. English begins with a capital letter, so `Select` is none.
fn is_sql(text: &str) -> bool {
    let text = text.trim_start();
    let lower = text.to_lowercase();
    let begins = |words: &str| text.starts_with(words) || text.starts_with(&words.to_uppercase());
    (begins("select ") && (lower.contains(" from ") || lower.contains('$') || lower.contains("\nfrom ")))
        || (begins("update ") && lower.contains(" set "))
        || (begins("with ") && lower.contains(" as ("))
        || [
            "insert into ",
            "delete from ",
            "create table ",
            "create database ",
            "alter table ",
            "drop table ",
        ]
        .into_iter()
        .any(begins)
}

/// A manifest's dependencies, those of tests left out, with the features each asks for.
fn dependencies(manifest: &str) -> Vec<(String, Vec<String>)> {
    let read = |path: &str| -> toml::Table {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap().parse().unwrap()
    };
    let features = |wanted: Option<&toml::Value>| -> Vec<String> {
        let listed = wanted.and_then(|wanted| wanted.get("features")).and_then(toml::Value::as_array);
        listed.into_iter().flatten().map(|feature| feature.as_str().unwrap().to_owned()).collect()
    };
    let (own, workspace) = (read(manifest), read("Cargo.toml"));
    let shared = workspace["workspace"]["dependencies"].as_table().unwrap();
    let listed = own["dependencies"].as_table().unwrap().iter();
    listed
        .map(|(name, wanted)| (name.clone(), [features(Some(wanted)), features(shared.get(name))].concat()))
        .collect()
}
