//! What is wrong with a lab's tutorial, and with the checks of its steps.

use std::path::{Path, PathBuf};

use flow_domain::labs::tutorial::{MOST_BYTES, Tutorial};

use super::LabFault;
use super::card::Card;

const FILE: &str = "tutorial.md";
const CHECKS: &str = "checks";

/// Checks are `checks/1`, `checks/2` and so on, each of the step with this number.
pub fn check(tutorial: &str, files: &[PathBuf], card: Option<&Card>, faults: &mut Vec<LabFault>) {
    if tutorial.len() > MOST_BYTES {
        let detail = format!("is over {} KiB", MOST_BYTES >> 10);
        return faults.push(LabFault::new(FILE, "", detail));
    }
    let tutorial = Tutorial::read(tutorial);
    let steps = tutorial.steps();
    if let Some(shown) = card.and_then(|card| card.outputs.as_ref()) {
        for name in tutorial.outputs().into_iter().filter(|name| !shown.contains(name)) {
            faults.push(LabFault::new(
                FILE,
                "",
                format!("shows the output {name:?}, which lab.toml does not"),
            ));
        }
    }
    for file in files.iter().filter(|file| file.starts_with(CHECKS)) {
        let name = file.strip_prefix(CHECKS).unwrap_or(Path::new("")).display().to_string();
        let number = name.parse::<usize>().ok().filter(|number| number.to_string() == name);
        if !number.is_some_and(|number| (1..=steps).contains(&number)) {
            let detail =
                format!("is no step's check: the tutorial has {steps} steps, each begins with `## `");
            faults.push(LabFault::new(file.display(), "", detail));
        }
    }
}
