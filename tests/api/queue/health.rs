//! `/health` asks the queue that is in use.

use std::time::{Duration, Instant};

use crate::harness::{Cable, Cut, TestApp, broker};

#[tokio::test]
async fn a_broker_that_is_away_or_mute_is_told_and_the_service_serves() {
    let (cable, url) = Cable::lay(&broker().await.vhost().await).await;
    let app = TestApp::start_with(&[("FLOW_QUEUE_URL", &url)]).await;
    let operator = app.login().await;
    for (cut, status) in [
        (Cut::Nowhere, "healthy"),
        (Cut::Off, "degraded"),
        (Cut::Nowhere, "healthy"),
        (Cut::Both, "degraded"),
    ] {
        cable.cut(cut);
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let health = app.get("/health", &operator).await;
            assert_eq!(health.status, 200, "{}", health.body);
            let (queue, all) = (&health.body["components"]["queue"], &health.body["components"]);
            assert_eq!(all["database"]["status"], "healthy", "{all}");
            if queue["status"] == status {
                assert_eq!(queue["detail"].is_null(), status == "healthy", "{queue}");
                assert!(queue["latency_ms"].is_number() && queue["last_success_s"].is_number(), "{queue}");
                break;
            }
            assert!(Instant::now() < deadline, "{queue}, not {status}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let log = app.log();
    assert_eq!(log.matches("RabbitMQ cannot be used").count(), 1, "once, not at each attempt: {log}");
    assert!(log.contains("RabbitMQ is there") && !log.contains("guest:guest"));
}
