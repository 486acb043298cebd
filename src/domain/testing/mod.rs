//! What a task's author needs to test a task without a server: a context and ports that live in memory.
//!
//! ```ignore
//! let test = TestContext::new().with_role(Role::Learner);
//! let output = noop::Noop.run(&test.context(), json!({"value": 1})).await;
//! assert_eq!(output, Outcome::Done(json!({"value": 1})));
//! ```

mod crashes;
mod datasets;
mod effects;
mod events;
mod fails;
mod flow_store;
mod grade_evidence;
mod http;
mod ingest;
mod lab_sessions;
mod ledger;
mod logins;
mod machine;
mod one_lab;
mod refusing;
mod revocations;
mod step_checks;
mod users;
mod workspaces;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::Value;

pub use crashes::{CrashRow, CrashTable, CrashTest, Effects, crash_after_each_checkpoint};
pub use datasets::MemoryDatasets;
pub use events::{KnownTokens, MemoryCache, MemoryOutbox, Unsealed};
pub use fails::FailsForGood;
pub use flow_store::{Kill, MemoryFlowStore};
pub use grade_evidence::MemoryGradeEvidence;
pub use http::CannedHttp;
pub use ingest::MemoryIngest;
pub use lab_sessions::MemoryLabSessions;
pub use ledger::MemoryLedger;
pub use logins::MemoryLogins;
pub use machine::Machine;
pub use one_lab::OneLab;
pub use refusing::Refusing;
pub use revocations::MemoryRevocations;
pub use step_checks::MemoryStepChecks;
pub use users::MemoryUsers;
pub use workspaces::TempWorkspaces;

use crate::flows::Context;
use crate::flows::context::Reporter;
use crate::ingest::Ingest;
use crate::labs::machines::NoMachines;
use crate::openid::AccessTokens;
use crate::ports::Ports;
use crate::users::{Account, Caller, Role, User};
use crate::{CancelSignal, RunId, UserId};

/// Builds contexts of one run, step and caller. The fakes can be filled and asked; every port can be replaced.
///
/// The caller is a learner with an account. Programs, Terraform, labs and sessions refuse every call until a port
/// of the test's own is put in [`TestContext::ports`].
pub struct TestContext {
    pub run: RunId,
    pub step: String,
    pub attempt: u32,
    pub caller: Caller,
    pub run_input: Value,
    pub outputs: BTreeMap<String, Arc<Value>>,
    pub waited_until: Option<Timestamp>,
    pub cancel: CancelSignal,
    pub ports: Ports,
    pub users: Arc<MemoryUsers>,
    pub datasets: Arc<MemoryDatasets>,
    pub http: Arc<CannedHttp>,
    pub workspaces: Arc<TempWorkspaces>,
    pub outbox: Arc<MemoryOutbox>,
    pub machine: Arc<Machine>,
    pub sessions: Arc<MemoryLabSessions>,
    pub ingest: Arc<MemoryIngest>,
    /// What the provider knows of access tokens.
    pub tokens: Arc<KnownTokens>,
    pub reports: Arc<Reports>,
}

impl Default for TestContext {
    fn default() -> Self {
        Self::new()
    }
}

impl TestContext {
    pub fn new() -> Self {
        let users = Arc::new(MemoryUsers::default());
        let datasets = Arc::new(MemoryDatasets::default());
        let http = Arc::new(CannedHttp::default());
        let workspaces = Arc::new(TempWorkspaces::default());
        let (outbox, tokens) = (Arc::new(MemoryOutbox::default()), Arc::new(KnownTokens::default()));
        let refusing = Arc::new(Refusing);
        let test = Self {
            run: RunId::new(),
            step: "step".to_owned(),
            attempt: 1,
            caller: Caller { id: UserId::new(), role: Role::Learner },
            run_input: Value::Null,
            outputs: BTreeMap::new(),
            waited_until: None,
            cancel: CancelSignal::new(),
            ports: Ports {
                http: http.clone(),
                programs: refusing.clone(),
                terraform: refusing.clone(),
                workspaces: workspaces.clone(),
                labs: refusing.clone(),
                sessions: refusing.clone(),
                step_checks: refusing.clone(),
                secrets: refusing.clone(),
                ledger: refusing.clone(),
                machines: Arc::new(NoMachines),
                task_notes: Arc::new(NoMachines),
                graders: refusing.clone(),
                evidence: refusing.clone(),
                datasets: datasets.clone(),
                users: users.clone(),
                access_tokens: Arc::new(AccessTokens {
                    verifier: tokens.clone(),
                    sealer: Arc::new(Unsealed),
                }),
                cache: Arc::new(MemoryCache::default()),
                outbox: outbox.clone(),
                ingest: Arc::new(Ingest {
                    datasets: BTreeMap::new(),
                    objects: refusing.clone(),
                    store: refusing,
                    chunk_bytes: 1 << 20,
                }),
            },
            users,
            datasets,
            http,
            workspaces,
            outbox,
            machine: Arc::default(),
            sessions: Arc::default(),
            ingest: Arc::default(),
            tokens,
            reports: Arc::new(Reports::default()),
        };
        test.users.put(account(&test.caller));
        test
    }

    /// The caller gets this role, and so does their account.
    pub fn with_role(mut self, role: Role) -> Self {
        self.caller.role = role;
        self.users.put(account(&self.caller));
        self
    }

    /// Programs, Terraform and graders are the fake ones of [`TestContext::machine`]; there is one lab, `web`, and one
    /// dataset of files, `things`.
    pub fn with_machine(mut self) -> Self {
        let lab =
            OneLab::in_folder(self.workspaces.root()).expect("the folder for temporary files can be used");
        let ports = &mut self.ports;
        ports.labs = Arc::new(lab);
        ports.sessions = self.sessions.clone();
        ports.evidence = Arc::new(MemoryGradeEvidence::default());
        ports.step_checks = Arc::new(MemoryStepChecks::default());
        ports.programs = self.machine.clone();
        ports.terraform = self.machine.clone();
        ports.graders = self.machine.clone();
        ports.ingest = Arc::new(self.ingest.parts());
        self
    }

    pub fn with_step(mut self, step: &str) -> Self {
        self.step = step.to_owned();
        self
    }

    pub fn with_run_input(mut self, input: Value) -> Self {
        self.run_input = input;
        self
    }

    /// As if the step of this name had ended with this output.
    pub fn with_output(mut self, step: &str, output: Value) -> Self {
        self.outputs.insert(step.to_owned(), Arc::new(output));
        self
    }

    /// As if the task had answered `WaitUntil` with this time, and it had come.
    pub fn with_waited_until(mut self, time: Timestamp) -> Self {
        self.waited_until = Some(time);
        self
    }

    /// The context to hand to a task.
    pub fn context(&self) -> Context {
        Context {
            run: self.run,
            step: self.step.clone(),
            attempt: self.attempt,
            caller: self.caller.clone(),
            run_input: Arc::new(self.run_input.clone()),
            outputs: Arc::new(self.outputs.clone()),
            cancel: self.cancel.clone(),
            waited_until: self.waited_until,
            ports: Arc::new(self.ports.clone()),
            reporter: self.reports.clone(),
        }
    }
}

/// An enabled account without a password.
fn account(caller: &Caller) -> Account {
    Account::new(User { id: caller.id, email: None, username: None, name: None, role: caller.role })
}

/// What a task reported.
#[derive(Default)]
pub struct Reports {
    progress: Mutex<Vec<(u8, String)>>,
    lines: Mutex<Vec<String>>,
}

impl Reports {
    pub fn progress(&self) -> Vec<(u8, String)> {
        held(&self.progress).clone()
    }

    pub fn lines(&self) -> Vec<String> {
        held(&self.lines).clone()
    }
}

impl Reporter for Reports {
    fn progress(&self, percent: u8, message: &str) {
        held(&self.progress).push((percent, message.to_owned()));
    }

    fn output(&self, line: &str) {
        held(&self.lines).push(line.to_owned());
    }
}

/// The lock, also after a test panicked while it held it: that test has failed already.
fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
