//! Tasks made for a test: closures under a name.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use flow_domain::flows::{Context, Effect, Outcome, Plan, Policy, Reason, Recovery, Task};
use futures_util::future::BoxFuture;
use schemars::Schema;
use serde_json::Value;

type Act = Box<dyn Fn(Context, Value) -> BoxFuture<'static, Outcome> + Send + Sync>;

/// A task that does what its closures say, and counts.
pub struct Script {
    name: &'static str,
    effect: Effect,
    policy: Policy,
    undoable: bool,
    pinned: bool,
    run: Act,
    undo: Act,
    recover: Box<dyn Fn() -> Recovery + Send + Sync>,
    mute: bool,
    pub runs: AtomicUsize,
    pub undos: AtomicUsize,
    pub recoveries: AtomicUsize,
}

impl Script {
    /// Gives back its input; idempotent, not undoable.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            effect: Effect::Idempotent,
            policy: Policy::default(),
            undoable: false,
            pinned: false,
            run: Box::new(|_, input| Box::pin(async { Outcome::Done(input) })),
            undo: Box::new(|_, _| Box::pin(async { Outcome::Done(Value::Null) })),
            recover: Box::new(|| Recovery::Unknown),
            mute: false,
            runs: AtomicUsize::new(0),
            undos: AtomicUsize::new(0),
            recoveries: AtomicUsize::new(0),
        }
    }

    pub fn effect(self, effect: Effect) -> Self {
        Self { effect, ..self }
    }

    pub fn policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    pub fn runs<F>(self, act: impl Fn(Context, Value) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        Self { run: Box::new(move |context, input| Box::pin(act(context, input))), ..self }
    }

    pub fn undoes<F>(self, act: impl Fn(Context, Value) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let undo: Act = Box::new(move |context, input| Box::pin(act(context, input)));
        Self { undoable: true, undo, ..self }
    }

    /// Undoable, and each run and undo is put down as `run NAME` and `undo NAME`.
    pub fn noted(self, notes: &Notes) -> Self {
        let (runs, undos) = (notes.clone(), notes.clone());
        self.runs(move |context, input| {
            runs.add(format!("run {}", context.step));
            async { Outcome::Done(input) }
        })
        .undoes(move |context, _| {
            undos.add(format!("undo {}", context.step));
            async { Outcome::Done(Value::Null) }
        })
    }

    /// Its work lives on the machine where it runs.
    pub fn pinned(self) -> Self {
        Self { pinned: true, ..self }
    }

    pub fn recovers(self, answer: impl Fn() -> Recovery + Send + Sync + 'static) -> Self {
        Self { recover: Box::new(answer), ..self }
    }

    /// Asked what became of it, it never answers.
    pub fn mute(self) -> Self {
        Self { mute: true, ..self }
    }

    pub fn made(self) -> Arc<Self> {
        Arc::new(self)
    }
}

/// What happened, in order.
#[derive(Clone, Default)]
pub struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub fn add(&self, note: impl Into<String>) {
        self.0.lock().unwrap().push(note.into());
    }

    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

pub fn fail(code: &str) -> Outcome {
    Outcome::Fail(Reason::new(code, "it broke"))
}

pub fn retry(code: &str) -> Outcome {
    Outcome::Retry { reason: Reason::new(code, "not now"), after: None }
}

#[async_trait]
impl Task for Script {
    fn name(&self) -> &'static str {
        self.name
    }

    fn description(&self) -> &'static str {
        "Does what a test says."
    }

    fn effect(&self) -> Effect {
        self.effect
    }

    fn policy(&self) -> Policy {
        self.policy
    }

    fn input_schema(&self) -> Schema {
        Schema::from(true)
    }

    fn output_schema(&self) -> Schema {
        Schema::from(true)
    }

    fn undoable(&self) -> bool {
        self.undoable
    }

    fn pins_host(&self) -> bool {
        self.pinned
    }

    async fn run(&self, ctx: &Context, input: Value) -> Outcome {
        self.runs.fetch_add(1, Ordering::SeqCst);
        (self.run)(ctx.clone(), input).await
    }

    async fn undo(&self, ctx: &Context, input: Value, _output: Option<Value>) -> Outcome {
        self.undos.fetch_add(1, Ordering::SeqCst);
        (self.undo)(ctx.clone(), input).await
    }

    async fn recover(&self, _ctx: &Context, _input: Value) -> Recovery {
        self.recoveries.fetch_add(1, Ordering::SeqCst);
        if self.mute {
            std::future::pending::<()>().await;
        }
        (self.recover)()
    }

    async fn plan(&self, _ctx: &Context, _input: Value) -> Plan {
        Plan::default()
    }
}
