//! Flows that an event starts.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::service::Flows;
use super::store::{EVENT_SCOPE, Idempotency};
use crate::queue::{Event, Handler, Subscription};
use crate::users::Caller;
use crate::{Result, hex};

/// With the pauses between them, some ten minutes.
const DELIVERY_LIMIT: u32 = 12;

/// Starts one flow once for each event of its topic, with the event's data as the run's input. Each flow is a consumer
/// of its own, `flow:NAME`: what one of them cannot take does not hold up another.
pub struct StartFlow {
    flows: Arc<Flows>,
    flow: String,
    topic: String,
}

impl StartFlow {
    /// One for each flow that says `on_event`.
    pub fn all(flows: &Arc<Flows>) -> Vec<Arc<dyn Handler>> {
        let wanted = flows.catalogue().iter().filter_map(|flow| {
            let (flow, topic) = (flow.definition.name.clone(), flow.definition.on_event.clone()?);
            Some(Arc::new(Self { flows: flows.clone(), flow, topic }) as Arc<dyn Handler>)
        });
        wanted.collect()
    }
}

#[async_trait]
impl Handler for StartFlow {
    fn subscription(&self) -> Subscription {
        let (consumer, topics) = (format!("flow:{}", self.flow), vec![self.topic.clone()]);
        Subscription { consumer, topics, delivery_limit: DELIVERY_LIMIT }
    }

    async fn handle(&self, event: &Event) -> Result<()> {
        if event.topic != self.topic {
            // Of a topic that the flow named once.
            return Ok(());
        }
        let once = Idempotency {
            caller: Caller::system().id,
            scope: format!("{EVENT_SCOPE}{}", self.flow),
            key: event.id.to_string(),
            // The id says which event it is: of two with one id the second is a copy, whatever it holds.
            body_sha256: hex(Sha256::digest(event.id.to_string())),
        };
        let started =
            self.flows.start(&Caller::system(), json!(self.flow), event.data.clone(), Some(once)).await?;
        if !started.replayed {
            log::info!("run={} flow={} event={}", started.run.id, self.flow, event.id);
        }
        Ok(())
    }
}
