//! The clock calls: starts flows at their times.

use std::time::Duration;

use flow_domain::clock;
use flow_domain::flows::schedule::Clockwork;

/// A crontab line knows no seconds; a look each second is soon enough.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Runs until it is dropped. Without a schedule in any flow it ends at once.
pub async fn run(clockwork: Clockwork) {
    if !clockwork.has_any() {
        return;
    }
    let mut known = false;
    let mut away = false;
    loop {
        let now = clock::now();
        let served = async {
            if !known {
                clockwork.keep(now).await?;
                known = true;
            }
            clockwork.tick(now).await
        };
        match served.await {
            Ok(_) => away = false,
            Err(error) => {
                if !away {
                    log::warn!("schedules wait: {error}");
                }
                away = true;
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
