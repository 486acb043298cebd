//! Flow files: `config/flows/*.toml` and the aliases beside them.

use std::collections::BTreeMap;
use std::path::Path;

use flow_domain::flows::{Alias, Catalogue, Definition, Registry};
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AliasFile {
    #[serde(default)]
    aliases: BTreeMap<String, Alias>,
}

/// Reads and checks every flow; the error lists every fault of every file. Settings win over the alias file.
pub fn read_catalogue(
    dir: &Path,
    configured: &BTreeMap<String, Alias>,
    registry: &Registry,
) -> Result<Catalogue, Vec<String>> {
    let mut faults = Vec::new();
    let mut aliases = read_aliases(&dir.join("aliases.toml"), &mut faults);
    aliases.extend(configured.clone());
    let mut definitions = Vec::new();
    for file in flow_files(&dir.join("flows"), &mut faults) {
        let shown = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match std::fs::read_to_string(&file) {
            Ok(text) => match toml::from_str::<Definition>(&text) {
                Ok(definition) => definitions.push(definition),
                Err(error) => faults.push(format!("flow file {shown}: {}", error.message())),
            },
            Err(error) => faults.push(format!("flow file {shown} cannot be read: {error}")),
        }
    }
    match Catalogue::new(definitions, aliases, registry) {
        Ok(catalogue) if faults.is_empty() => Ok(catalogue),
        Ok(_) => Err(faults),
        Err(found) => {
            faults.extend(found.into_iter().map(|fault| format!("flow {}: {}", fault.pointer, fault.detail)));
            Err(faults)
        }
    }
}

fn read_aliases(file: &Path, faults: &mut Vec<String>) -> BTreeMap<String, Alias> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return BTreeMap::new(),
        Err(error) => {
            faults.push(format!("aliases.toml cannot be read: {error}"));
            return BTreeMap::new();
        }
    };
    match toml::from_str::<AliasFile>(&text) {
        Ok(file) => file.aliases,
        Err(error) => {
            faults.push(format!("aliases.toml: {}", error.message()));
            BTreeMap::new()
        }
    }
}

fn flow_files(dir: &Path, faults: &mut Vec<String>) -> Vec<std::path::PathBuf> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => {
            faults.push(format!("the folder of flows, {}, cannot be read: {error}", dir.display()));
            return Vec::new();
        }
    };
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files
}
