//! Terraform, as the settings want it.

use std::sync::Arc;
use std::time::Duration;

use super::Stores;
use crate::config::Config;
use crate::driven::postgres::{PgLabTimes, PgStateCopies};
use crate::driven::process::ChildPrograms;
use crate::driven::terraform::{Patience, TerraformCli, TerraformOptions};

pub(super) fn terraform(config: &Config, stores: &Stores, programs: Arc<ChildPrograms>) -> TerraformCli {
    let settings = &config.terraform;
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    let options = TerraformOptions {
        binary: settings.bin.clone(),
        search_path: std::env::var("PATH").unwrap_or_default(),
        at_once: settings.at_once.get(),
        places_dir: settings.places_dir.clone(),
        ca_file: config.proxmox.ca_file.clone(),
        patience: Patience {
            init: seconds(settings.init_timeout_s.get()),
            plan: seconds(settings.plan_timeout_s.get()),
            ..Patience::default()
        },
    };
    let copies = Arc::new(PgStateCopies::new(stores.pool.clone(), stores.state_key.clone()));
    TerraformCli::new(options, programs, copies)
        .with_times(Arc::new(PgLabTimes::new(stores.pool.clone())))
        .sharing_init(stores.state.path().join("terraform"))
}
