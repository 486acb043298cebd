//! Machines of a lab: reserved before Terraform makes them, and told to it as variables.

use flow_domain::flows::secret::Given;
use flow_domain::flows::{Context, Stop};
use flow_domain::labs::machines::Reservation;
use flow_domain::ports::TerraformJob;

/// Reserves what a lab needs before anything is made. With the ids of the machines.
pub async fn reserve(
    ctx: &Context,
    job: TerraformJob,
    given: &mut Given,
    count: u32,
) -> Result<(TerraformJob, Vec<u32>), Stop> {
    if count == 0 {
        return Ok((job, vec![]));
    }
    if ctx.ports.machines.access().is_none() {
        let detail = "This lab needs machines, and no Proxmox VE is configured.";
        return Err(Stop::fail_clean("machines.none", detail));
    }
    let reservation = ctx.ports.ledger.reserve(job.session, count).await?;
    Ok((told(ctx, job, given, &reservation), reservation.vmids))
}

/// The same variables again, for what takes down what was made.
pub async fn again(
    ctx: &Context,
    job: TerraformJob,
    given: &mut Given,
) -> Result<(TerraformJob, Vec<u32>), Stop> {
    if ctx.ports.machines.access().is_none() {
        return Ok((job, vec![]));
    }
    Ok(match ctx.ports.ledger.reservation(job.session).await? {
        Some(reservation) => (told(ctx, job, given, &reservation), reservation.vmids),
        None => (job, vec![]),
    })
}

fn told(ctx: &Context, mut job: TerraformJob, given: &mut Given, reservation: &Reservation) -> TerraformJob {
    let vmids: Vec<String> = reservation.vmids.iter().map(u32::to_string).collect();
    let variables = [
        ("vmids", format!("[{}]", vmids.join(","))),
        ("pool", reservation.pool.clone()),
        ("tag", reservation.tag.clone()),
    ];
    job.variables.extend(variables.map(|(name, value)| (name.to_owned(), value)));
    if let Some((url, token)) = ctx.ports.machines.access() {
        given.add("proxmox.token", token.clone());
        job.variables.insert("proxmox_url".to_owned(), url);
        job.variables.insert("proxmox_token".to_owned(), token);
    }
    job
}
