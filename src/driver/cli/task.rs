//! `flow-manager task new`: a file for a task of one's own, with its tests.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use super::{complain, print};

const TEMPLATE: &str = include_str!("task/template.txt");
const LONGEST_NAME: usize = 64;

#[derive(Debug, Subcommand)]
pub enum TaskCommand {
    /// Write tasks/NAME.rs, a task that works with its tests, and tell the line to add
    New {
        /// What flows call it: lower-case letters and `_`
        #[arg(value_parser = name)]
        name: String,
        /// The folder of the tasks
        #[arg(long, default_value = "tasks")]
        dir: PathBuf,
        /// One JSON object: {file, list, line, test}
        #[arg(long)]
        json: bool,
    },
}

fn name(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let edges = text.starts_with('_') || text.ends_with('_') || text.contains("__");
    match plain && !edges && !text.is_empty() && text.len() <= LONGEST_NAME {
        true if is_taken(text) => Err("is a word of Rust".to_owned()),
        true => Ok(text.to_owned()),
        false => Err("is not 1 to 64 lower-case letters, with single _ between words".to_owned()),
    }
}

/// It becomes the name of a module.
fn is_taken(text: &str) -> bool {
    const WORDS: &str = "as async await box break const continue crate do dyn else enum extern false final fn for gen if \
                         impl in let lib loop macro match mod move mut override priv pub ref return self static struct \
                         super trait true try type typeof unsafe unsized use virtual where while yield";
    WORDS.split(' ').any(|word| word == text)
}

/// What was written, and what is left to do.
struct Written {
    file: PathBuf,
    list: PathBuf,
    /// For the list.
    line: String,
    /// A command.
    test: String,
}

impl Written {
    fn told(&self, as_json: bool) -> Vec<String> {
        let Self { file, list, line, test } = self;
        if as_json {
            return vec![json!({"file": file, "list": list, "line": line, "test": test}).to_string()];
        }
        vec![
            format!("Written: {}", file.display()),
            format!("Add to the list tasks! in {}:", list.display()),
            format!("    {line}"),
            format!("Then: {test}"),
        ]
    }
}

pub fn run(TaskCommand::New { name, dir, json }: &TaskCommand) -> ExitCode {
    match write(dir, name) {
        Ok(written) => {
            print(written.told(*json));
            ExitCode::SUCCESS
        }
        Err(why) => {
            complain(&why);
            ExitCode::FAILURE
        }
    }
}

fn write(dir: &Path, name: &str) -> Result<Written, String> {
    let (file, list) = (dir.join(format!("{name}.rs")), dir.join("lib.rs"));
    let tasks = std::fs::read_to_string(&list).map_err(|error| {
        format!("{} cannot be read ({error}): call it where the source is, or give --dir", list.display())
    })?;
    let line = format!("{name}::{},", type_of(name));
    if tasks.lines().any(|known| known.trim() == line) {
        return Err(format!("{} has the line {line} already", list.display()));
    }
    let text = TEMPLATE.replace("TASK_NAME", name).replace("TaskType", &type_of(name));
    let made = OpenOptions::new().write(true).create_new(true).open(&file);
    made.and_then(|mut made| made.write_all(text.as_bytes())).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => format!("{} is there already", file.display()),
        _ => format!("{} cannot be written: {error}", file.display()),
    })?;
    Ok(Written { file, list, line, test: format!("cargo test -p flow-tasks {name}") })
}

/// `count_words` is `CountWords`.
fn type_of(name: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('_').map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_module_s() {
        for good in ["a", "count_words"] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in ["", "Count", "a b", "_a", "a_", "a__b", "../a", "mod", "lib", "a1", &"a".repeat(65)] {
            assert!(name(bad).is_err(), "{bad}");
        }
        assert_eq!(type_of("count_words"), "CountWords");
    }

    #[test]
    fn a_file_is_written_once_and_the_line_is_told() {
        let dir = tempfile::tempdir().unwrap();
        assert!(write(dir.path(), "count_words").err().unwrap().contains("lib.rs"));
        std::fs::write(dir.path().join("lib.rs"), "tasks! {\n}\n").unwrap();
        let told = write(dir.path(), "count_words").unwrap().told(false);
        assert!(told.contains(&"    count_words::CountWords,".to_owned()), "{told:?}");
        let text = std::fs::read_to_string(dir.path().join("count_words.rs")).unwrap();
        assert!(text.contains("pub struct CountWords;") && text.contains("\"count_words\""), "{text}");
        assert!(!text.contains("TASK_NAME") && !text.contains("TaskType"));
        assert!(write(dir.path(), "count_words").err().unwrap().contains("already"));
        std::fs::write(dir.path().join("lib.rs"), "tasks! {\n    add_up::AddUp,\n}\n").unwrap();
        assert!(write(dir.path(), "add_up").err().unwrap().contains("has the line"));
    }
}
