//! What a lab is, as its folder describes it. Each section of `lab.toml` is a struct of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Grading;
use crate::Result;
use crate::users::Role;

/// A lab as its folder describes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lab {
    /// The folder's name.
    pub name: String,
    pub title: String,
    pub summary: String,
    /// How long a learner needs, in minutes.
    pub minutes: u32,
    pub difficulty: Difficulty,
    /// Roles that may use it; operators always may.
    pub allow: Vec<Role>,
    /// The folder itself; never shown to a caller.
    #[serde(skip)]
    pub dir: PathBuf,
    /// SHA-256 over the folder's files, hexadecimal.
    pub version: String,
    /// `tutorial.md`, as it was when the folder was read.
    #[serde(skip)]
    pub tutorial: String,
    /// Numbers of the tutorial's steps that have a check.
    pub checks: BTreeSet<u32>,
    /// What learners hand in; none: the lab does not say, and its grader takes what comes.
    #[serde(default)]
    pub answers: Vec<super::AskedAnswer>,
    pub limits: LabLimits,
    pub grading: Grading,
    /// Given to Terraform as `TF_VAR_name`, besides the service's own.
    pub variables: BTreeMap<String, String>,
    /// Machines that its Terraform makes on the Proxmox VE, at most.
    pub machines: u32,
    /// Of these variables the values are secrets, by their paths.
    pub secrets: BTreeMap<String, String>,
    /// Terraform's outputs that the learner sees; none means all that are not sensitive.
    pub outputs: Option<Vec<String>>,
}

impl Lab {
    /// Whether this role may use it.
    pub fn allows(&self, role: Role) -> bool {
        role >= Role::Operator || self.allow.iter().any(|allowed| role >= *allowed)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Difficulty {
    #[default]
    Beginner,
    Intermediate,
    Advanced,
}

/// `[limits]`: how long things may take, in seconds, and how many there may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LabLimits {
    /// For the apply of a launch.
    #[schemars(range(min = 1, max = 3600))]
    pub launch_timeout_s: u64,
    /// A session that its learner leaves alone for this long is ended.
    #[schemars(range(min = 5, max = 604800))]
    pub idle_s: u64,
    /// A session is ended this long after it was handed over.
    #[schemars(range(min = 5, max = 2592000))]
    pub total_s: u64,
    /// The learner is warned this long before the end, half of either time at most.
    #[schemars(range(max = 86400))]
    pub warn_s: u64,
    /// What the total time grows by when the learner asks.
    #[schemars(range(max = 604800))]
    pub extend_s: u64,
    /// How often the learner may ask.
    #[schemars(range(max = 100))]
    pub extensions: u32,
    /// A learner with an open session of any other lab cannot launch this one.
    pub one_at_a_time: bool,
}

impl Default for LabLimits {
    fn default() -> Self {
        Self {
            launch_timeout_s: 900,
            idle_s: 3600,
            total_s: 4 * 3600,
            warn_s: 300,
            extend_s: 1800,
            extensions: 2,
            one_at_a_time: false,
        }
    }
}

/// A lab's name is a folder's, a path's and a URL's part.
pub fn is_lab_name(name: &str) -> bool {
    let letters = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    letters && (1..=63).contains(&name.len()) && !name.starts_with('-')
}

/// The labs this service offers.
pub trait LabCatalogue: Send + Sync {
    fn lab(&self, name: &str) -> Option<Arc<Lab>>;
    /// Those that can be launched, in the order of their names.
    fn labs(&self) -> Vec<Arc<Lab>>;
    /// Whether this service has what the lab needs; the conflict says what is missing.
    fn launchable(&self, _lab: &Lab) -> Result<()> {
        Ok(())
    }
}
