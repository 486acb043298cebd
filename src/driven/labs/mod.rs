//! Labs as folders: `NAME/{lab.toml, *.tf, tutorial.md, grade}`. Adapter of the port `LabCatalogue`.

mod card;
mod declared;
mod folder;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use flow_domain::Error;
use flow_domain::labs::{Lab, LabCatalogue, is_lab_name};

use card::Card;

/// The labs of a directory, read once.
pub struct LabFolders {
    labs: BTreeMap<String, Arc<Lab>>,
    /// Whether there is a cluster for those that make machines.
    machines: bool,
}

/// One fault of a lab's folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LabFault {
    /// Below the lab's folder; empty for the folder itself.
    pub file: String,
    /// Of `lab.toml`, with dots; empty for the whole file.
    pub key: String,
    pub detail: String,
}

impl LabFault {
    pub fn new(file: impl fmt::Display, key: &str, detail: impl fmt::Display) -> Self {
        Self { file: file.to_string(), key: key.to_owned(), detail: detail.to_string() }
    }
}

impl fmt::Display for LabFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = if self.file.is_empty() { "the folder" } else { &self.file };
        match self.key.as_str() {
            "" => write!(f, "{file}: {}", self.detail),
            key => write!(f, "{file}: {key}: {}", self.detail),
        }
    }
}

impl LabFolders {
    /// Reads every folder of `root`. The error has a line for each fault of each lab. A directory that is not there
    /// holds no labs; what is not a folder is left alone.
    pub fn load(root: &Path) -> Result<Self, String> {
        let mut labs = BTreeMap::new();
        let mut wrong = Vec::new();
        let Ok(entries) = fs::read_dir(root) else { return Ok(Self { labs, machines: true }) };
        for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
            let name = entry.file_name().to_string_lossy().into_owned();
            match read(&entry.path()) {
                Ok(lab) => drop(labs.insert(name, Arc::new(lab))),
                Err(faults) => wrong.extend(faults.iter().map(|fault| format!("lab {name:?}: {fault}"))),
            }
        }
        wrong.sort();
        if wrong.is_empty() { Ok(Self { labs, machines: true }) } else { Err(wrong.join("\n")) }
    }

    /// Without a cluster, labs that make machines are known and not offered: what was launched before is still theirs.
    pub fn where_machines_are(mut self, there: bool) -> Self {
        self.machines = there;
        self
    }
}

impl LabCatalogue for LabFolders {
    fn lab(&self, name: &str) -> Option<Arc<Lab>> {
        self.labs.get(name).cloned()
    }

    fn labs(&self) -> Vec<Arc<Lab>> {
        self.labs.values().filter(|lab| self.launchable(lab).is_ok()).cloned().collect()
    }

    fn launchable(&self, lab: &Lab) -> Result<(), Error> {
        if self.machines || lab.machines == 0 {
            return Ok(());
        }
        let public =
            "This lab makes machines, and this service has no Proxmox VE: its operator sets proxmox.url.";
        Err(Error::conflict("machines.none", public))
    }
}

/// Reads one lab's folder, which has the lab's name. The error lists every fault.
pub fn read(dir: &Path) -> Result<Lab, Vec<LabFault>> {
    let mut faults = Vec::new();
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !is_lab_name(&name) {
        let rule = "is named with small letters, digits and hyphens, 63 at most, the first no hyphen";
        faults.push(LabFault::new("", "", rule));
    }
    let files = folder::files(dir, &mut faults);
    let card = text(dir, card::FILE, &mut faults).and_then(|text| card::read(&text, &mut faults));
    folder::check(dir, &files, &mut faults);
    let tutorial = match files.iter().any(|file| file == Path::new("tutorial.md")) {
        true => text(dir, "tutorial.md", &mut faults).unwrap_or_default(),
        false => String::new(),
    };
    words::check(&tutorial, &files, card.as_ref(), &mut faults);
    if let Some(card) = &card {
        declared::check(dir, &files, card, &mut faults);
    }
    let version = folder::version(dir, &files)
        .map_err(|error| faults.push(LabFault::new("", "", format!("cannot be read: {error}"))));
    match (card, version) {
        (Some(card), Ok(version)) if faults.is_empty() => Ok(lab(name, dir, card, version, tutorial)),
        _ => {
            faults.sort();
            faults.dedup();
            Err(faults)
        }
    }
}

fn lab(name: String, dir: &Path, card: Card, version: String, tutorial: String) -> Lab {
    Lab {
        name,
        title: card.title,
        summary: card.summary,
        minutes: card.minutes,
        difficulty: card.difficulty,
        allow: card.allow,
        dir: dir.to_owned(),
        version,
        checks: folder::checks(dir),
        tutorial,
        answers: card.answers,
        limits: card.limits,
        grading: card.grading,
        variables: card.variables.iter().map(|(name, value)| (name.clone(), value.text())).collect(),
        machines: card.machines,
        secrets: card.secrets,
        outputs: card.outputs,
    }
}

fn text(dir: &Path, file: &str, faults: &mut Vec<LabFault>) -> Option<String> {
    fs::read_to_string(dir.join(file))
        .map_err(|error| faults.push(LabFault::new(file, "", format!("cannot be read: {error}"))))
        .ok()
}

#[cfg(test)]
mod tests;
