//! The clock calls: warns of sessions that end soon, and ends those whose time is over.

use std::sync::Arc;
use std::time::Duration;

use flow_domain::labs::Labs;

/// A learner counts seconds.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Runs until it is dropped.
pub async fn keep(labs: Arc<Labs>) {
    let mut away = false;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        match labs.keep_time().await {
            Ok(()) => away = false,
            Err(error) => {
                if !away {
                    log::warn!("sessions' time is not kept: {error}");
                }
                away = true;
            }
        }
    }
}
