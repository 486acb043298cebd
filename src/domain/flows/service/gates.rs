//! Limits and pauses, as callers set them.

use super::Flows;
use crate::clock;
use crate::flows::gate::{Gate, LONGEST_REASON, Pause};
use crate::users::{Caller, Role};
use crate::{Error, Fault, Result};

impl Flows {
    /// Makes known how many runs may go on at once: of each flow of this process's files, and, with `service`, in all.
    /// Those go on that now may.
    pub async fn set_limits(&self, service: Option<u32>) -> Result<()> {
        let flows = self.catalogue.iter().map(|flow| &flow.definition);
        let of_flows = flows.map(|flow| (Gate::Flow(flow.name.clone()), flow.at_once));
        let limits: Vec<_> = of_flows.chain([(Gate::Service, service)]).collect();
        self.store.set_limits(&limits).await
    }

    /// No new step starts behind this gate. Paused already, it stays as it is.
    pub async fn pause(&self, caller: &Caller, gate: Gate, reason: Option<String>) -> Result<Pause> {
        operator(caller)?;
        if let Some(name) = gate.flow()
            && self.catalogue.get(name).is_none()
        {
            return Err(Error::not_found("flow.unknown", "There is no such flow."));
        }
        if reason
            .as_ref()
            .is_some_and(|reason| reason.chars().count() > LONGEST_REASON || reason.contains('\0'))
        {
            let detail = format!("at most {LONGEST_REASON} characters, and no NUL");
            let fault = Fault::new("/reason", "pause.reason_invalid", detail);
            return Err(Error::invalid("pause.reason_invalid", "This reason cannot be kept.", vec![fault]));
        }
        let pause = self.store.pause(Pause { gate, since: clock::now(), by: caller.id, reason }).await?;
        // The others hear of it; here it holds when this returns.
        self.engine.learn_pauses().await;
        Ok(pause)
    }

    /// Ends a pause, also one of a flow whose file is gone. `false` when there was none.
    pub async fn resume(&self, caller: &Caller, gate: &Gate) -> Result<bool> {
        operator(caller)?;
        let ended = self.store.resume(gate).await?;
        if let (false, Some(name)) = (ended, gate.flow())
            && self.catalogue.get(name).is_none()
        {
            return Err(Error::not_found("flow.unknown", "There is no such flow."));
        }
        self.engine.learn_pauses().await;
        Ok(ended)
    }

    /// Every pause, with how many runs behind it a process still has under way.
    pub async fn pauses(&self) -> Result<Vec<(Pause, i64)>> {
        let mut all = Vec::new();
        for pause in self.store.pauses().await? {
            let under_way = self.store.under_way(&pause.gate).await?;
            all.push((pause, under_way));
        }
        Ok(all)
    }

    /// The pause of the flow of this name, as this process last heard of it.
    pub fn pause_of(&self, flow: &str) -> Option<Pause> {
        self.engine.pauses().into_iter().find(|pause| pause.gate.flow() == Some(flow))
    }
}

fn operator(caller: &Caller) -> Result<()> {
    match caller.role >= Role::Operator {
        true => Ok(()),
        false => Err(Error::forbidden("flow.pause_forbidden", "Only operators may pause and resume.")),
    }
}
