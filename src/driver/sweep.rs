//! The clock calls: looks for machines that are nobody's.

use std::sync::Arc;
use std::time::Duration;

use flow_domain::labs::machines::{Orphan, OrphanKind, Orphans};
use uuid::Uuid;

/// Runs until it is dropped. Without a cluster it ends at once.
pub async fn run(orphans: Arc<Orphans>, every: Duration) {
    if !orphans.has_cluster() {
        return;
    }
    let mut known: Vec<Uuid> = Vec::new();
    let mut away = false;
    loop {
        tokio::time::sleep(every).await;
        match orphans.sweep().await {
            Ok(found) => {
                if away {
                    log::info!("orphaned machines can be looked for again");
                }
                away = false;
                found.iter().filter(|orphan| !known.contains(&orphan.id)).for_each(tell);
                known = found.iter().map(|orphan| orphan.id).collect();
            }
            Err(error) => {
                if !away {
                    log::warn!("orphaned machines cannot be looked for: {error}");
                }
                away = true;
            }
        }
    }
}

fn tell(orphan: &Orphan) {
    let what = match orphan.kind {
        OrphanKind::NotInState => "is in Proxmox VE and in no session's state",
        OrphanKind::NotInProxmox => "is in a session's state and not in Proxmox VE",
    };
    log::warn!("machine {} {what}: orphan={}", orphan.vmid, orphan.id);
}
