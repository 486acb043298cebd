//! Giving steps their secrets, the same ones after a crash.

use std::sync::Arc;

use serde_json::Value;

use super::Engine;
use crate::Result;
use crate::flows::reference::{Root, walk};
use crate::flows::run::Run;
use crate::flows::secret::{SHORTEST, SecretVersion};
use crate::{Error, Kind};

impl Engine {
    /// Resolves what the input of a step that starts now refers to.
    pub(super) async fn give(&self, run: &mut Run, raw: &Value) -> Result<Vec<SecretVersion>> {
        let mut given = Vec::new();
        for path in secret_paths(raw) {
            let version = self.give_one(run, &path, None).await?;
            given.push(SecretVersion { path, version });
        }
        Ok(given)
    }

    /// A run that another process began: the secrets it was given are known again before anything is read or written,
    /// so that what comes back is scrubbed as before. One that is gone is left out; its steps fail when they need it.
    pub(super) async fn recall(&self, run: &mut Run) {
        let versions: Vec<SecretVersion> = run.steps.iter().flat_map(|step| step.secrets.clone()).collect();
        for SecretVersion { path, version } in versions {
            if let Err(error) = self.give_one(run, &path, Some(&version)).await {
                log::warn!("run={} a secret it was given is gone: {error}", run.id);
            }
        }
    }

    /// The input to call a task with: with its secrets' values in place, which the stored one has not.
    pub(super) async fn real_input(&self, run: &mut Run, position: usize) -> Result<Arc<Value>> {
        let step = &run.steps[position];
        if step.secrets.is_empty() {
            return Ok(step.input.clone());
        }
        let raw = run.definition.tasks[step.index].input.clone().unwrap_or_default();
        for SecretVersion { path, version } in step.secrets.clone() {
            if run.given.get(&path).is_none() {
                self.give_one(run, &path, Some(&version)).await?;
            }
        }
        let resolved = run.scope(Some(&run.given)).resolve(&raw);
        resolved.map(Arc::new).map_err(|why| Error::new(Kind::Invalid, "step.reference_unresolved", why))
    }

    async fn give_one(&self, run: &mut Run, path: &str, version: Option<&str>) -> Result<String> {
        let (value, version) = self.secrets.resolve(path, version).await?;
        if let Some(error) = too_short(path, &value) {
            return Err(error);
        }
        run.given.add(path, value);
        Ok(version)
    }
}

pub(super) fn too_short(path: &str, value: &str) -> Option<Error> {
    let public =
        || format!("The secret {path:?} has under {SHORTEST} characters and cannot be kept out of logs.");
    (value.len() < SHORTEST).then(|| Error::new(Kind::Invalid, "secret.too_short", public()))
}

pub(super) fn secret_paths(input: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    let mut found = |_: &str, reference: &crate::flows::reference::Reference| {
        if let Root::Secret(path) = &reference.root
            && !paths.contains(path)
        {
            paths.push(path.clone());
        }
    };
    walk(input, "", &mut found, &mut |_, _| {});
    paths
}
