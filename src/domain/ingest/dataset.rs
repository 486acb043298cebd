//! What a dataset's files look like and where their rows go: `config/datasets/NAME.toml`.

use serde::Deserialize;

use crate::{Error, Result};

/// As its file has it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// The file's name without its ending.
    #[serde(skip)]
    pub name: String,
    pub description: String,
    /// Of the schema `ingested`.
    pub table: String,
    /// The folder, below the store's root, where the files are.
    pub folder: String,
    /// What the files' names end with.
    #[serde(default = "csv")]
    pub suffix: String,
    /// One ASCII character.
    #[serde(default = "comma")]
    pub delimiter: char,
    #[serde(default)]
    pub encoding: Encoding,
    /// What becomes of a file with rows that do not fit.
    #[serde(default)]
    pub bad_rows: BadRows,
    /// Whether headers that no column names may be there.
    #[serde(default)]
    pub other_headers: OtherHeaders,
    /// The columns that tell rows apart: a unique constraint of the table.
    pub key: Vec<String>,
    pub columns: Vec<Column>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Of the table.
    pub name: String,
    /// Of the file; default: the name.
    #[serde(default)]
    header: Option<String>,
    #[serde(rename = "type")]
    pub kind: ColumnKind,
    /// Whether an empty field is a fault; otherwise it is null.
    #[serde(default)]
    pub required: bool,
    /// Of numbers.
    #[serde(default)]
    pub min: Option<f64>,
    #[serde(default)]
    pub max: Option<f64>,
    /// Of texts, in characters.
    #[serde(default)]
    pub max_length: Option<usize>,
    /// Of texts: no other is one.
    #[serde(default)]
    pub one_of: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// 64 bits.
    Integer,
    /// A finite float of 64 bits.
    Number,
    Text,
    /// `true` or `false`.
    Boolean,
    /// As 2026-11-21.
    Date,
    /// RFC 3339 with an offset.
    Time,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    #[default]
    Utf8,
    /// Which every byte is of.
    Latin1,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BadRows {
    /// Nothing of the file is loaded.
    #[default]
    RejectFile,
    /// The others are loaded, and they are kept with what is wrong with them.
    SkipRows,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OtherHeaders {
    #[default]
    Refuse,
    Ignore,
}

fn csv() -> String {
    ".csv".to_owned()
}

fn comma() -> char {
    ','
}

impl Column {
    pub fn header(&self) -> &str {
        self.header.as_deref().unwrap_or(&self.name)
    }
}

impl Dataset {
    /// Reads a dataset's file; the error is every fault in it, in words.
    pub fn read(name: &str, toml: &str) -> Result<Self, Vec<String>> {
        let dataset: Self = toml::from_str(toml).map_err(|error| vec![error.to_string()])?;
        let dataset = Self { name: name.to_owned(), ..dataset };
        let faults = dataset.faults();
        if faults.is_empty() { Ok(dataset) } else { Err(faults) }
    }

    /// Where each key column is among the columns.
    pub fn key_positions(&self) -> Vec<usize> {
        let position = |name: &String| self.columns.iter().position(|column| column.name == *name);
        self.key.iter().filter_map(position).collect()
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = vec![];
        if !is_name(&self.name, |c| c == '-' || c == '_') {
            faults.push("a dataset's name is 1 to 63 lower-case letters, digits, - and _".to_owned());
        }
        let names = self.columns.iter().map(|column| &column.name).chain([&self.table]);
        for name in names.filter(|name| !is_name(name, |c| c == '_') || name.starts_with("ingest_")) {
            faults.push(format!(
                "{name:?} is no name of a table or column here: 1 to 63 lower-case letters, digits and _, \
                 and not beginning with ingest_"
            ));
        }
        for (at, column) in self.columns.iter().enumerate() {
            let earlier = &self.columns[..at];
            if earlier.iter().any(|other| other.name == column.name) {
                faults.push(format!("the column {:?} is there twice", column.name));
            }
            if earlier.iter().any(|other| other.header() == column.header()) {
                faults.push(format!("the header {:?} is there twice", column.header()));
            }
        }
        if self.key.is_empty() || self.key_positions().len() != self.key.len() {
            faults.push("key is one or more of the columns".to_owned());
        }
        for column in self.columns.iter().filter(|column| self.key.contains(&column.name) && !column.required)
        {
            faults.push(format!("the column {:?} is of the key and must be required", column.name));
        }
        if !self.delimiter.is_ascii() || matches!(self.delimiter, '"' | '\n' | '\r' | '\0') {
            faults.push("delimiter is one ASCII character, no quote and no end of a line".to_owned());
        }
        if self.folder.starts_with('/') || self.folder.split('/').any(|part| part == "..") {
            faults.push("folder is a path below the store's root".to_owned());
        }
        faults
    }
}

fn is_name(name: &str, more: impl Fn(char) -> bool) -> bool {
    let first = name.chars().next().is_some_and(|first| first.is_ascii_lowercase());
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || more(c);
    first && name.len() <= 63 && name.chars().all(known)
}

/// A dataset that nobody configured.
pub(super) fn unknown(name: &str) -> Error {
    Error::not_found("dataset.unknown", format!("No dataset is called {name:?}."))
}
