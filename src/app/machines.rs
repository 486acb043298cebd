//! Machines of a Proxmox VE, as the settings want it.

use std::sync::Arc;

use flow_domain::labs::StateCopies;
use flow_domain::labs::machines::{Ledger, Machines, NoMachines, OfLabs, Orphans};

use super::stores::Stores;
use crate::config::Config;
use crate::driven::postgres::{PgLedger, PgStateCopies};
use crate::driven::proxmox::{Proxmox, ProxmoxOptions};

pub(super) struct Cluster {
    pub machines: Arc<dyn Machines>,
    pub ledger: Arc<dyn Ledger>,
    pub orphans: Arc<Orphans>,
    /// For its health, if there is one.
    pub proxmox: Option<Arc<Proxmox>>,
}

pub(super) fn open(config: &Config, stores: &Stores) -> Result<Cluster, String> {
    let settings = &config.proxmox;
    let proxmox = match &settings.url {
        None => None,
        Some(url) => {
            let token = settings.token.as_ref().ok_or("Proxmox VE needs proxmox.token.")?;
            Some(Arc::new(Proxmox::new(ProxmoxOptions {
                url: url.clone(),
                token: token.expose().to_owned(),
                fingerprint: settings.fingerprint.clone(),
                ca_file: settings.ca_file.clone(),
            })?))
        }
    };
    let machines: Arc<dyn Machines> = match &proxmox {
        Some(proxmox) => proxmox.clone(),
        None => Arc::new(NoMachines),
    };
    let (first, last) = settings.vmids.clone().unwrap_or(100_000..=100_999).into_inner();
    let of_labs = OfLabs { pool: settings.pool.clone(), first, last };
    let ledger: Arc<dyn Ledger> =
        Arc::new(PgLedger::new(stores.pool.clone(), (settings.pool.clone(), first, last)));
    let states: Arc<dyn StateCopies> =
        Arc::new(PgStateCopies::new(stores.pool.clone(), stores.state_key.clone()));
    let orphans = Arc::new(Orphans::new(machines.clone(), ledger.clone(), states, of_labs));
    Ok(Cluster { machines, ledger, orphans, proxmox })
}
