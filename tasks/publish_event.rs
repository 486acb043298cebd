//! `publish_event`: tells whoever listens that something happened.

use async_trait::async_trait;
use flow_domain::EventId;
use flow_domain::flows::{Context, Stop, TypedTask};
use flow_domain::queue::Event;
use flow_domain::users::Role;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

pub struct PublishEvent;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// What kind of thing happened, as `user.created`.
    #[schemars(regex(pattern = r"^[a-z0-9_.-]{1,100}$"))]
    topic: String,
    /// What it happened to: events of one key are published in order.
    key: String,
    /// The event's id, the same for the same thing; default: one of this run and step.
    #[serde(default)]
    id: Option<EventId>,
    /// What the event says.
    #[serde(default)]
    data: Value,
    /// Nothing is published when this is true.
    #[serde(default)]
    unless: bool,
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// Whether it was published.
    published: bool,
    /// The event's id.
    id: EventId,
}

#[async_trait]
impl TypedTask for PublishEvent {
    const NAME: &'static str = "publish_event";
    const DESCRIPTION: &'static str = "Publishes an event, once however often the step runs.";
    type Input = Input;
    type Output = Output;

    async fn run(&self, ctx: &Context, input: Input) -> Result<Output, Stop> {
        let own = || EventId(Uuid::new_v5(&ctx.run.0, ctx.step.as_bytes()));
        let id = input.id.unwrap_or_else(own);
        if input.unless {
            return Ok(Output { published: false, id });
        }
        // Consumers believe what they are told, and a definition may come from a request.
        if ctx.caller.role != Role::System {
            let detail = "Only runs that the service itself started may publish events.";
            return Err(Stop::fail_clean("event.forbidden", detail));
        }
        let event = Event::new(&input.topic, input.key, input.data).with_id(id);
        ctx.ports.outbox.add(&[event]).await?;
        Ok(Output { published: true, id })
    }
}

#[cfg(test)]
mod tests {
    use flow_domain::flows::{Outcome, Task};
    use flow_domain::testing::TestContext;
    use serde_json::json;

    use super::*;

    async fn publish(test: &TestContext, unless: bool) -> Outcome {
        let input = json!({"topic": "a.made", "key": "k", "data": {"n": 1}, "unless": unless});
        Task::run(&PublishEvent, &test.context(), input).await
    }

    #[tokio::test]
    async fn a_step_that_runs_twice_publishes_once() {
        let mut test = TestContext::new();
        test.caller.role = Role::System;
        for _ in 0..2 {
            let outcome = publish(&test, false).await;
            assert!(matches!(&outcome, Outcome::Done(output) if output["published"] == true), "{outcome:?}");
        }
        let events = test.outbox.events();
        assert_eq!(events.len(), 1);
        assert_eq!((&*events[0].topic, &events[0].data), ("a.made", &json!({"n": 1})));
    }

    #[tokio::test]
    async fn nothing_is_published_for_a_person_or_when_it_is_not_wanted() {
        let mut test = TestContext::new().with_role(Role::Admin);
        let outcome = publish(&test, false).await;
        assert!(
            matches!(&outcome, Outcome::FailClean(reason) if reason.code == "event.forbidden"),
            "{outcome:?}"
        );
        test.caller.role = Role::System;
        let outcome = publish(&test, true).await;
        assert!(matches!(&outcome, Outcome::Done(output) if output["published"] == false), "{outcome:?}");
        assert_eq!(test.outbox.events(), []);
    }
}
