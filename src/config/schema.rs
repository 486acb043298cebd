//! Which keys there are: those of the embedded `config/default.toml`.

use toml::{Table, Value};

/// Tables whose keys the operator chooses.
const OPEN: [&str; 2] = ["aliases", "exec.allow"];

/// Keys that are masked when printed and may come from a file. The struct's field is a secret type as well: this list
/// is about text on its way there.
const SECRET: [&str; 14] = [
    "state.key",
    "state.old_key",
    "database.url",
    "queue.url",
    "cache.url",
    "objects.access_key",
    "objects.secret_key",
    "secrets.secret_id",
    "auth.secret",
    "auth.key",
    "auth.second_secret",
    "auth.second_key",
    "oidc.client_secret",
    "proxmox.token",
];

/// One known key.
#[derive(Clone, Debug)]
pub(super) struct Key {
    /// `section.key`, or `key` at the top.
    pub name: String,
    /// `FLOW_SECTION_KEY`; what tables hold has none.
    pub variable: Option<String>,
    pub default: Value,
    pub secret: bool,
}

pub(super) struct Schema {
    pub defaults: Table,
    pub keys: Vec<Key>,
}

impl Schema {
    pub fn shipped() -> Self {
        let defaults: Table = include_str!("../../config/default.toml")
            .parse()
            .expect("the shipped settings are checked by a test of this module");
        let mut keys = Vec::new();
        for (section, value) in &defaults {
            match value {
                Value::Table(table) if !OPEN.contains(&section.as_str()) => {
                    keys.extend(
                        table.iter().map(|(key, default)| Key::new(&format!("{section}.{key}"), default)),
                    );
                }
                default => keys.push(Key::new(section, default)),
            }
        }
        Self { defaults, keys }
    }

    pub fn find(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Whether `name` is a section, that is, holds keys of ours.
    pub fn is_section(&self, name: &str) -> bool {
        matches!(self.defaults.get(name), Some(Value::Table(_))) && !OPEN.contains(&name)
    }

    pub fn sections(&self) -> impl Iterator<Item = &str> {
        self.defaults.keys().map(String::as_str).filter(|name| self.is_section(name))
    }
}

impl Key {
    fn new(name: &str, default: &Value) -> Self {
        let variable = format!("FLOW_{}", name.replace('.', "_").to_uppercase());
        Self {
            name: name.to_owned(),
            variable: (name != "aliases").then_some(variable),
            default: default.clone(),
            secret: SECRET.contains(&name),
        }
    }

    /// Sets the key in a table of settings.
    pub fn set(&self, settings: &mut Table, value: Value) {
        let table = match self.name.split_once('.') {
            None => settings,
            Some((section, _)) => settings
                .get_mut(section)
                .and_then(Value::as_table_mut)
                .expect("settings start as the defaults, which have every section"),
        };
        table.insert(self.leaf().to_owned(), value);
    }

    pub fn get<'a>(&self, settings: &'a Table) -> &'a Value {
        let table = match self.name.split_once('.') {
            None => settings,
            Some((section, _)) => settings[section]
                .as_table()
                .expect("settings start as the defaults, which have every section"),
        };
        &table[self.leaf()]
    }

    fn leaf(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }
}

/// `, did you mean …?`, when one of the known names is near, or ends like the unknown one.
pub(super) fn did_you_mean<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> String {
    let last = unknown.rsplit(['.', '_']).next().unwrap_or(unknown).to_lowercase();
    let scored = known.filter_map(|name| {
        let distance = strsim::damerau_levenshtein(name, unknown);
        let same_end = name.to_lowercase().rsplit(['.', '_']).next() == Some(&last);
        // A third of the letters may differ, as a misspelt long name still is that name.
        (distance <= unknown.len().min(12) / 3 || same_end).then_some((distance, name))
    });
    scored.min().map_or(String::new(), |(_, name)| format!(", did you mean {name}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_secret_is_a_known_text() {
        let schema = Schema::shipped();
        for name in SECRET {
            assert!(schema.find(name).is_some_and(|key| key.default.is_str()), "{name}");
        }
    }

    #[test]
    fn no_two_keys_share_a_variable_and_none_looks_like_a_secrets_file() {
        let schema = Schema::shipped();
        let mut variables: Vec<_> = schema.keys.iter().filter_map(|key| key.variable.clone()).collect();
        let files: Vec<_> = schema
            .keys
            .iter()
            .filter(|key| key.secret)
            .filter_map(|key| Some(format!("{}_FILE", key.variable.as_ref()?)))
            .collect();
        variables.extend(files);
        let count = variables.len();
        variables.sort();
        variables.dedup();
        assert_eq!(variables.len(), count);
    }

    #[test]
    fn every_key_is_explained_right_above_it() {
        let mut explained = false;
        for line in include_str!("../../config/default.toml").lines() {
            match line.trim() {
                "" => explained = false,
                comment if comment.starts_with('#') => explained = true,
                section if section.starts_with('[') => explained = false,
                // Keys that follow one another without a gap share their comment.
                key => assert!(explained || key.starts_with("client_id"), "{key} has no comment"),
            }
        }
    }

    #[test]
    fn the_nearest_name_is_offered_only_when_it_is_near() {
        let known = ["FLOW_SERVER_PORT", "FLOW_STATE_DIR", "FLOW_DATABASE_URL"];
        assert_eq!(did_you_mean("FLOW_SEVER_PORT", known.into_iter()), ", did you mean FLOW_SERVER_PORT?");
        assert_eq!(did_you_mean("FLOW_PORT", known.into_iter()), ", did you mean FLOW_SERVER_PORT?");
        assert_eq!(did_you_mean("FLOW_UNRELATED_THING", known.into_iter()), "");
    }
}
