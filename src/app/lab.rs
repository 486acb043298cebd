//! `flow-manager lab`: what is wrong with a lab's folder, and which labs there are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use flow_domain::labs::{Lab, LabCatalogue};
use serde::Deserialize;

use super::check::terraform_program;
use crate::config::Config;
use crate::driven::labs::{self, LabFault, LabFolders};

/// What was found out about a lab.
#[derive(Debug)]
pub struct Checked {
    /// The lab, if its folder can be read at all.
    pub lab: Option<Lab>,
    pub faults: Vec<String>,
    /// What was not looked into and why, and what this service lacks to offer it.
    pub notes: Vec<String>,
}

/// Every fault of a lab's folder; with Terraform on this machine also those that `terraform validate` finds, in a
/// copy of the folder.
pub fn check(config: &Config, dir: &Path) -> Checked {
    // A folder has its lab's name, and "." has none.
    let dir = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let lab = match labs::read(&dir) {
        Ok(lab) => lab,
        Err(faults) => {
            let faults = faults.iter().map(LabFault::to_string).collect();
            return Checked { lab: None, faults, notes: vec![] };
        }
    };
    let mut notes = Vec::new();
    if lacks_machines(config, &lab) {
        notes.push(
            "It makes machines, and proxmox.url is not set: this service does not offer it.".to_owned(),
        );
    }
    let why = match terraform_program(config) {
        None => "neither terraform nor tofu is on PATH".to_owned(),
        Some(program) => match validate(&program, &dir) {
            Ok(Validated::By(faults)) => return Checked { lab: Some(lab), faults, notes },
            Ok(Validated::WithoutProviders(why)) => why,
            Err(why) => return Checked { lab: Some(lab), faults: vec![why], notes },
        },
    };
    notes.push(format!("The *.tf files were not validated: {why}."));
    Checked { lab: Some(lab), faults: vec![], notes }
}

/// Whether a lab makes machines and there is no cluster to make them on.
pub fn lacks_machines(config: &Config, lab: &Lab) -> bool {
    lab.machines > 0 && config.proxmox.url.is_none()
}

/// The labs of the configuration, or a line for each fault of each.
pub fn list(config: &Config) -> Result<Vec<Lab>, String> {
    let labs = LabFolders::load(&config.config.dir.join("labs"))?;
    Ok(labs.labs().iter().map(|lab| Lab::clone(lab)).collect())
}

#[derive(Deserialize)]
struct Validation {
    #[serde(default)]
    diagnostics: Vec<Diagnostic>,
}

#[derive(Deserialize)]
struct Diagnostic {
    severity: String,
    summary: String,
    #[serde(default)]
    detail: String,
    range: Option<Range>,
}

#[derive(Deserialize)]
struct Range {
    filename: String,
    start: Position,
}

#[derive(Deserialize)]
struct Position {
    line: u64,
}

impl Diagnostic {
    fn line(&self) -> String {
        let place = self
            .range
            .as_ref()
            .map_or("*.tf".to_owned(), |range| format!("{}: line {}", range.filename, range.start.line));
        let detail = self.detail.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{place}: {}{}{detail}", self.summary, if detail.is_empty() { "" } else { ": " })
    }
}

enum Validated {
    /// With these faults.
    By(Vec<String>),
    /// It could not: the lab's providers cannot be had here, which is no fault of the lab's.
    WithoutProviders(String),
}

/// What `init` says where no registry or mirror has a provider, or can be reached. It has read the files by then, so
/// that they are Terraform's language.
const NO_PROVIDERS: [&str; 2] = ["could not connect to ", "was not found in any of the search locations"];

/// `init` fetches the lab's providers and modules, which `validate` needs to know.
fn validate(program: &Path, dir: &Path) -> Result<Validated, String> {
    let copy = Copy::of(dir).map_err(|error| format!("the folder cannot be copied: {error}"))?;
    let init = terraform(program, &copy.0, &["init", "-backend=false", "-input=false", "-no-color"])?;
    if !init.status.success() {
        let text = [init.stderr, init.stdout].concat();
        let text = String::from_utf8_lossy(&text);
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if NO_PROVIDERS.iter().any(|said| words.contains(said)) {
            let provider = words.split_once("available versions for provider ").map_or("", |(_, rest)| rest);
            let provider = provider.split(':').next().unwrap_or_default();
            return Ok(Validated::WithoutProviders(format!("the provider {provider} cannot be had here")));
        }
        let why = text.lines().find_map(|line| line.split_once("Error: ")).map_or("", |(_, why)| why.trim());
        return Err(format!("*.tf: terraform init: {why}"));
    }
    let validated = terraform(program, &copy.0, &["validate", "-json", "-no-color"])?;
    let validation: Validation = serde_json::from_slice(&validated.stdout)
        .map_err(|_| "*.tf: terraform validate gave no answer that can be read".to_owned())?;
    let errors = validation.diagnostics.iter().filter(|diagnostic| diagnostic.severity == "error");
    Ok(Validated::By(errors.map(Diagnostic::line).collect()))
}

fn terraform(program: &Path, dir: &Path, args: &[&str]) -> Result<Output, String> {
    let mut command = Command::new(program);
    command.args(args).current_dir(dir).stdin(Stdio::null());
    command.env("CHECKPOINT_DISABLE", "1").env("TF_IN_AUTOMATION", "1");
    command.output().map_err(|error| format!("*.tf: {} cannot be run: {error}", program.display()))
}

/// A copy of a lab's folder, removed with the value: what Terraform leaves is not the lab's.
struct Copy(PathBuf);

impl Copy {
    fn of(dir: &Path) -> std::io::Result<Self> {
        let name = format!("flow-manager-lab-{}", uuid::Uuid::now_v7());
        let copy = Self(std::env::temp_dir().join(name));
        copy_into(dir, &copy.0)?;
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The folder was read before and holds files and folders alone.
fn copy_into(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_into(&from, &to)?;
        } else {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}
