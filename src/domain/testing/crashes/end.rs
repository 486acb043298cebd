//! What is left of a run, in a form to compare.

use std::collections::BTreeMap;

use crate::flows::event::{Event, EventKind};
use crate::flows::run::Run;

/// What the world has more of, by what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects(pub BTreeMap<&'static str, usize>);

impl Effects {
    /// Of nothing more than there.
    pub fn within(&self, other: &Self) -> bool {
        self.0.iter().all(|(what, count)| *count <= other.0.get(what).copied().unwrap_or(0).max(1))
    }

    pub fn words(&self) -> String {
        let some = self.0.iter().filter(|(_, count)| **count > 0);
        let words: Vec<String> = some.map(|(what, count)| format!("{count} {what}")).collect();
        if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepEnd {
    pub name: String,
    pub task: String,
    pub status: String,
    pub undo: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub status: String,
    pub steps: Vec<StepEnd>,
    /// In the order in which they were.
    pub undone: Vec<String>,
    pub effects: Effects,
}

impl End {
    pub(super) fn of(run: &Run, events: &[Event], effects: Effects) -> Self {
        let steps = run.steps.iter().map(|step| StepEnd {
            name: step.name.clone(),
            task: step.task.clone(),
            status: step.status.as_str().to_owned(),
            undo: step.undo.as_str().to_owned(),
        });
        let undone = events.iter().filter(|event| event.kind == EventKind::UndoDone);
        Self {
            status: run.head.status.as_str().to_owned(),
            steps: steps.collect(),
            undone: undone.filter_map(|event| event.step.clone()).collect(),
            effects,
        }
    }

    /// Whether every step but this one succeeded, and this one did not.
    pub(super) fn failed_in(&self, step: Option<&str>) -> bool {
        let last = |name: &str| self.steps.iter().rev().find(|step| step.name == name);
        let ok = |name: &str| last(name).is_some_and(|step| step.status == "succeeded");
        self.steps.iter().all(|it| ok(&it.name) != (Some(it.name.as_str()) == step))
    }

    /// The same but for more of a tolerated effect: what that is.
    pub(super) fn left_over(
        &self,
        wanted: &Self,
        tolerated: &BTreeMap<&'static str, &'static str>,
    ) -> Option<String> {
        let mut alike = self.clone();
        let mut words = Vec::new();
        for (effect, because) in tolerated {
            let (here, there) = (self.effects.0.get(effect), wanted.effects.0.get(effect));
            if here > there {
                words.push((*because).to_owned());
                alike.effects.0.insert(wanted.effects.0.get_key_value(effect)?.0, there.copied()?);
            }
        }
        (alike == *wanted && !words.is_empty()).then(|| words.join(", "))
    }
}
