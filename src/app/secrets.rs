//! Where secrets are, as the settings want it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flow_domain::flows::secret::Secrets;

use crate::config::Config;
use crate::driven::secrets_file::SecretsFile;
use crate::driven::vault::{Vault, VaultOptions};

pub(super) struct Kept {
    pub store: Arc<dyn Secrets>,
    /// The same, if it is one: its token is to be kept alive, and revoked.
    pub vault: Option<Arc<Vault>>,
}

pub(super) fn open(config: &Config) -> Result<Kept, String> {
    let settings = &config.secrets;
    let Some(url) = settings.url.as_deref() else {
        return Ok(Kept { store: Arc::new(SecretsFile(None)), vault: None });
    };
    if let Some(path) = url.strip_prefix("file://") {
        return Ok(Kept { store: Arc::new(SecretsFile(Some(PathBuf::from(path)))), vault: None });
    }
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err("secrets.url must be https://VAULT or file:///PATH.".to_owned());
    }
    let (Some(role_id), Some(secret_id)) = (&settings.role_id, &settings.secret_id) else {
        return Err("A Vault needs secrets.role_id and secrets.secret_id.".to_owned());
    };
    let vault = Vault::new(VaultOptions {
        url: url.to_owned(),
        mount: settings.mount.trim_matches('/').to_owned(),
        namespace: settings.namespace.clone(),
        role_id: role_id.clone(),
        secret_id: secret_id.expose().to_owned(),
        ca_file: settings.ca_file.clone(),
        wait: Duration::from_secs(settings.wait_s.into()),
    })?;
    Ok(Kept { store: vault.clone(), vault: Some(vault) })
}
