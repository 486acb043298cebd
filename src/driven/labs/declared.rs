//! Whether the variables and outputs that `lab.toml` names are declared by the lab's Terraform files.
//!
//! Terraform itself ignores a variable of the environment that no file declares, so a misspelled one would be found
//! by nobody. The files are scanned for the first lines of blocks, as `terraform fmt` writes them; a file in JSON
//! syntax (`*.tf.json`) is not looked into, and then nothing is held against the card.

use std::fs;
use std::path::{Path, PathBuf};

use super::LabFault;
use super::card::{Card, FILE};

pub fn check(dir: &Path, files: &[PathBuf], card: &Card, faults: &mut Vec<LabFault>) {
    let top = files.iter().filter(|file| file.components().count() == 1);
    let mut text = String::new();
    for file in top {
        let name = file.to_string_lossy();
        if name.ends_with(".tf.json") {
            return;
        }
        if name.ends_with(".tf") {
            text.push_str(&fs::read_to_string(dir.join(file)).unwrap_or_default());
            text.push('\n');
        }
    }
    for name in card.variables.keys().filter(|name| !declares(&text, "variable", name)) {
        let key = format!("variables.{name}");
        faults.push(LabFault::new(FILE, &key, "no *.tf file declares this variable"));
    }
    for name in card.secrets.keys().filter(|name| !declares(&text, "variable", name)) {
        let key = format!("secrets.{name}");
        faults.push(LabFault::new(FILE, &key, "no *.tf file declares this variable"));
    }
    if card.machines > 0 && !declares(&text, "variable", "vmids") {
        let detail = "the machines' ids are given to the variable \"vmids\", which no *.tf file declares";
        faults.push(LabFault::new(FILE, "machines", detail));
    }
    for (at, name) in card.outputs.iter().flatten().enumerate() {
        if !declares(&text, "output", name) {
            let detail = format!("no *.tf file declares the output {name:?}");
            faults.push(LabFault::new(FILE, &format!("outputs.{at}"), detail));
        }
    }
}

/// Whether a block `kind "name"` begins on some line.
fn declares(text: &str, kind: &str, name: &str) -> bool {
    text.lines().any(|line| {
        let Some(rest) = line.trim_start().strip_prefix(kind) else { return false };
        let label = rest.trim_start().trim_end_matches('}').trim_end().trim_end_matches('{').trim_end();
        let label = label.split('{').next().unwrap_or_default().trim();
        rest.starts_with([' ', '\t', '"']) && (label == format!("\"{name}\"") || label == name)
    })
}
