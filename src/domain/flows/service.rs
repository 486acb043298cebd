//! What callers may do with flows: the same for HTTP, queue, schedule and command line.

mod gates;
mod known;

mod watch;

use std::sync::Arc;

use serde_json::Value;

use super::catalogue::{Catalogue, Flow};
use super::engine::{Engine, FlowPlan, Submitted, Watch};
use super::posted::Posted;
use super::registry::Registry;
use super::run::{Run, RunStatus, Start};
use super::store::{Ack, Created, FlowStore, Idempotency, RunFilter};
use super::why::{Why, explain};
use crate::clock;
use crate::users::{Caller, Role};
use crate::{Cancel, Error, Fault, Result, RunId};

pub struct Flows {
    engine: Arc<Engine>,
    store: Arc<dyn FlowStore>,
    catalogue: Arc<Catalogue>,
    registry: Arc<Registry>,
    posted: Posted,
}

/// A run that was asked for.
pub struct Started {
    pub run: Run,
    /// An earlier request with the same idempotency key started it.
    pub replayed: bool,
    watch: Option<Watch>,
}

impl Flows {
    pub fn new(
        engine: Arc<Engine>,
        store: Arc<dyn FlowStore>,
        catalogue: Arc<Catalogue>,
        registry: Arc<Registry>,
    ) -> Self {
        Self { engine, store, catalogue, registry, posted: Posted::default() }
    }

    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Starts a flow, named by a string or given as a definition.
    pub async fn start(
        &self,
        caller: &Caller,
        flow: Value,
        input: Value,
        idempotency: Option<Idempotency>,
    ) -> Result<Started> {
        self.start_at(None, caller, flow, input, idempotency).await
    }

    /// Starts a flow on one machine, by its `host_id`: another that is asked leaves it to that one.
    pub async fn start_at(
        &self,
        host_id: Option<String>,
        caller: &Caller,
        flow: Value,
        input: Value,
        idempotency: Option<Idempotency>,
    ) -> Result<Started> {
        if self.engine.is_stopping() {
            return Err(Error::unavailable(
                "service.draining",
                "The service is about to stop; try again shortly.",
            ));
        }
        let flow = self.find(caller, flow)?;
        let faults = flow.input_faults(&input);
        if !faults.is_empty() {
            return Err(Error::invalid("flow.input_invalid", "The input does not fit this flow.", faults));
        }
        let start = Start {
            definition: flow.definition.clone(),
            definition_hash: flow.hash.clone(),
            caller: caller.clone(),
            input: Arc::new(input),
            parent: None,
        };
        let mut run = Run::new(start, clock::now());
        run.head.host_id = host_id;
        self.started(self.engine.submit(run, idempotency).await?).await
    }

    /// What starting a flow would do. Whoever may start it may ask; a definition with faults is planned as far as its
    /// faults go.
    pub async fn plan(&self, caller: &Caller, flow: Value, input: &Value) -> Result<FlowPlan> {
        let flow = match self.find(caller, flow) {
            Err(error) if error.code == "flow.invalid" => {
                return Ok(FlowPlan { faults: error.faults, ..FlowPlan::default() });
            }
            found => found?,
        };
        let mut plan = self.engine.plan(&flow.definition, caller, input).await;
        plan.faults.splice(..0, flow.input_faults(input));
        Ok(plan)
    }

    /// Starts an ended run anew from one of its steps, with what still stands of it.
    pub async fn retry(
        &self,
        caller: &Caller,
        id: RunId,
        from: Option<&str>,
        input: Option<Value>,
        idempotency: Option<Idempotency>,
    ) -> Result<Started> {
        let old = self.run(caller, id).await?;
        if let (Some(input), Some(flow)) = (&input, self.catalogue.get(&old.definition.name)) {
            let faults = flow.input_faults(input);
            if !faults.is_empty() {
                return Err(Error::invalid(
                    "flow.input_invalid",
                    "The input does not fit this flow.",
                    faults,
                ));
            }
        }
        let run = old.retry(from, input, clock::now())?;
        self.started(self.engine.resubmit(&old, run, idempotency).await?).await
    }

    async fn started(&self, submitted: Submitted) -> Result<Started> {
        match submitted.created {
            Created::Stored { .. } => {
                Ok(Started { run: submitted.run, replayed: false, watch: submitted.watch })
            }
            Created::Replayed(id) => {
                let run = self.known(id).await?;
                Ok(Started { watch: self.engine.live().watch(id), run, replayed: true })
            }
            Created::KeyReused => Err(Error::new(
                crate::Kind::Invalid,
                "idempotency.key_reused",
                "This Idempotency-Key was used with another body; a new request needs a new key.",
            )),
        }
    }

    fn find(&self, caller: &Caller, flow: Value) -> Result<Arc<Flow>> {
        match flow {
            Value::String(name) => match self.catalogue.get(&name) {
                Some(flow) if flow.definition.allows(caller.role) => Ok(flow.clone()),
                Some(_) => Err(Error::forbidden("flow.forbidden", "This flow is not for your role.")),
                None => {
                    let hint = self.catalogue.nearest(&name).map(|near| format!("; did you mean {near:?}?"));
                    let detail = format!("no flow is called {name:?}{}", hint.unwrap_or_default());
                    let fault = Fault::new("/flow", "flow.unknown", detail);
                    Err(Error::invalid("flow.unknown", "There is no such flow.", vec![fault]))
                }
            },
            definition if caller.role < Role::Operator => {
                drop(definition);
                let public = "Only operators may post a definition; name a flow instead.";
                Err(Error::forbidden("flow.definition_forbidden", public))
            }
            definition => self.posted.read(definition, &self.registry, &self.catalogue.aliases).map(Arc::new),
        }
    }

    /// A run that this caller may see.
    pub async fn run(&self, caller: &Caller, id: RunId) -> Result<Run> {
        let run = self.store.run(id).await?.filter(|run| caller.sees(run.caller.id));
        run.ok_or_else(|| Error::not_found("run.unknown", "There is no such run."))
    }

    /// Runs that this caller may see, newest first, without their steps.
    pub async fn runs(&self, caller: &Caller, mut filter: RunFilter) -> Result<Vec<Run>> {
        if caller.role < Role::Operator {
            // Others' runs are as good as none.
            if filter.caller.is_some_and(|wanted| wanted != caller.id) {
                return Ok(Vec::new());
            }
            filter.caller = Some(caller.id);
        }
        self.store.runs(&filter).await
    }

    /// Asks for a cancel; the run is cancelled when nothing of it is alive and all is taken back. A forced one, an
    /// operator's, grants no grace and gives up what a dead machine holds.
    pub async fn cancel(&self, caller: &Caller, id: RunId, how: Cancel) -> Result<Run> {
        if how == Cancel::Forced && caller.role < Role::Operator {
            return Err(Error::forbidden("run.force_forbidden", "Only operators may force a cancel."));
        }
        self.run(caller, id).await?;
        match self.store.request_cancel(id, how).await? {
            Some(status) if status.is_final() && status != RunStatus::Cancelled => {
                let public = format!("The run is over: {}.", status.as_str());
                Err(Error::conflict("run.over", public))
            }
            _ => {
                self.engine.live().cancel(id, how);
                self.known(id).await
            }
        }
    }

    /// Takes an ended run back, or goes on where its undo gave up.
    pub async fn undo(&self, caller: &Caller, id: RunId) -> Result<Run> {
        let mut run = self.run(caller, id).await?;
        if run.head.superseded_by.is_some() {
            return Err(Error::conflict(
                "run.superseded",
                "A retry took this run's steps over; undo that one.",
            ));
        }
        if !matches!(run.head.status, RunStatus::Succeeded | RunStatus::Failed | RunStatus::UndoFailed) {
            let public = format!("A run that is {} cannot be undone.", run.head.status.as_str());
            return Err(Error::conflict("run.not_undoable", public));
        }
        if !run.reopen(clock::now()) {
            return Err(Error::conflict(
                "run.nothing_to_undo",
                "No step of this run has anything to take back.",
            ));
        }
        let checkpoint = run.checkpoint(crate::WorkerId::new(), None);
        match self.store.reopen(checkpoint).await? {
            Ack::Stored { .. } => self.known(id).await,
            Ack::Fenced => {
                Err(Error::conflict("run.changed", "The run has changed meanwhile; look at it again."))
            }
        }
    }

    /// Why the run is where it is.
    pub async fn why(&self, caller: &Caller, id: RunId) -> Result<Why> {
        let run = self.run(caller, id).await?;
        let standing = self.store.standing(&run).await?;
        Ok(explain(&run, &standing, caller.role, clock::now()))
    }

    async fn known(&self, id: RunId) -> Result<Run> {
        let run = self.store.run(id).await?;
        run.ok_or_else(|| Error::not_found("run.unknown", "There is no such run."))
    }
}
