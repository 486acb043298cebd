//! What watchers read.

use flow_domain::WorkerId;
use flow_domain::flows::event::EventKind;
use flow_domain::flows::store::{EVENTS_BYTES, FlowStore};
use serde_json::json;

use super::{now, run, saved, stored};

pub(super) async fn events_are_given_in_portions_of_bounded_size(store: &dyn FlowStore) {
    let owner = WorkerId::new();
    let mut run = stored(store, run(), owner).await;
    let position = run.start_step(0, json!({}), false, now());
    let long = vec!["x".repeat(4096); 20];
    (0..5).for_each(|_| run.report_output(position, &long, now()));
    run.report_output(position, &["y".repeat(EVENTS_BYTES * 2)], now());
    run.succeed_step(position, json!(1), now());
    saved(store, &mut run, owner, None).await;
    let (mut after, mut lines, mut portions) = (0, 0, 0);
    loop {
        let (events, _) = store.events(run.id, after, 1000).await.unwrap();
        let Some(last) = events.last() else { break };
        let before: usize = events[..events.len() - 1].iter().map(|event| event.data.to_string().len()).sum();
        assert!(before < EVENTS_BYTES, "the last may go over it, no other");
        let numbers: Vec<i64> = events.iter().map(|event| event.number).collect();
        assert_eq!(numbers, (after + 1..=last.number).collect::<Vec<_>>(), "no gap");
        let output = events.iter().filter(|event| event.kind == EventKind::Output);
        lines += output.map(|event| event.data["lines"].as_array().unwrap().len()).sum::<usize>();
        (after, portions) = (last.number, portions + 1);
    }
    assert_eq!((after, lines), (run.head.event_seq, 101));
    assert!(portions > 5, "{portions}");
}
