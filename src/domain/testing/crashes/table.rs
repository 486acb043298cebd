//! What was tried, for people.

use std::collections::BTreeMap;
use std::fmt;

use super::end::End;

/// One flow.
pub struct CrashRow {
    flow: String,
    /// Writes of an undisturbed run; a death before and one after each of them was tried.
    pub boundaries: usize,
    /// Effects of its tasks on the world; a death before each of them was tried.
    pub within: usize,
    /// How often each end was seen.
    pub ends: BTreeMap<String, usize>,
    /// What an undisturbed run leaves in the world.
    pub effects: String,
    undone: Vec<String>,
}

impl CrashRow {
    pub(super) fn new(flow: &str, boundaries: usize, within: usize, wanted: &End) -> Self {
        Self {
            flow: flow.to_owned(),
            boundaries,
            within,
            ends: BTreeMap::new(),
            effects: wanted.effects.words(),
            undone: wanted.undone.clone(),
        }
    }

    pub(super) fn count(&mut self, end: &str) {
        *self.ends.entry(end.to_owned()).or_default() += 1;
    }

    /// How many deaths were tried.
    pub fn deaths(&self) -> usize {
        self.ends.values().sum()
    }
}

/// Many of them.
#[derive(Default)]
pub struct CrashTable(pub Vec<CrashRow>);

impl fmt::Display for CrashTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| flow | boundaries | within | deaths | ends | effects counted | taken back |")?;
        writeln!(f, "| --- | --- | --- | --- | --- | --- | --- |")?;
        for row in &self.0 {
            let ends: Vec<String> = row.ends.iter().map(|(end, times)| format!("{times} {end}")).collect();
            let undone = if row.undone.is_empty() { "–".to_owned() } else { row.undone.join(", ") };
            let (flow, boundaries, within, deaths) = (&row.flow, row.boundaries, row.within, row.deaths());
            let (ends, effects) = (ends.join("; "), &row.effects);
            writeln!(f, "| {flow} | {boundaries} | {within} | {deaths} | {ends} | {effects} | {undone} |")?;
        }
        let sum = |of: fn(&CrashRow) -> usize| self.0.iter().map(of).sum::<usize>();
        let (boundaries, within, deaths) =
            (sum(|row| row.boundaries), sum(|row| row.within), sum(CrashRow::deaths));
        writeln!(f, "| {} flows | {boundaries} | {within} | {deaths} | | | |", self.0.len())
    }
}
