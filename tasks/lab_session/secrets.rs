//! A lab's secrets: got from where they are kept when Terraform needs them, and kept out of all it says.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use flow_domain::flows::secret::{Given, SHORTEST};
use flow_domain::flows::{Context, OrStop, Stop};
use flow_domain::labs::Lab;
use flow_domain::ports::TerraformJob;

use super::own_folder;

/// Paths of secrets by the variables' names, in the service's own folder of a session's directory; never a value.
const FILE: &str = "secrets.json";

/// Notes which secrets the lab has as the session begins.
pub fn note(own: &Path, lab: &Lab) -> io::Result<()> {
    fs::write(own.join(FILE), serde_json::to_vec(&lab.secrets)?)
}

/// Adds them to the job's variables; what they are, so that nothing that comes back tells. The newest version counts:
/// what made a thing may have been changed since, and the old one be good for nothing.
pub async fn give(ctx: &Context, mut job: TerraformJob) -> Result<(TerraformJob, Given), Stop> {
    let mut given = Given::default();
    let paths = paths(&job.dir).fatal("session.directory_unusable")?;
    for (name, path) in paths {
        let (value, _) = ctx.ports.secrets.resolve(&path, None).await?;
        if value.len() < SHORTEST {
            let detail = format!(
                "The secret {path:?} has under {SHORTEST} characters and cannot be kept out of logs."
            );
            return Err(Stop::fail_clean("secret.too_short", detail));
        }
        given.add(&path, value.clone());
        job.variables.insert(name, value);
    }
    Ok((job, given))
}

fn paths(dir: &Path) -> io::Result<BTreeMap<String, String>> {
    match fs::read(own_folder(dir)?.join(FILE)) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        // A session of before labs had secrets.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error),
    }
}
