//! Ports that refuse every call, so that a test which reaches one by mistake says so.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::MemoryCache;
use crate::flows::secret::Secrets;
use crate::ingest::{
    ChunkJob, ChunkRef, Dataset, IngestStore, Loaded, NewFile, Progress, RejectedFile, Standing,
};
use crate::labs::machines::{Found, Ledger, Orphan, Reservation, Reserved};
use crate::labs::{
    BestScore, Evidence, Grade, GradeEvidence, GradeJob, Graded, Graders, Lab, LabCatalogue, LabSessions,
    Listed, Look, Session, SessionFilter, SessionStatus, StepChecks, StepState,
};
use crate::objects::{Object, Objects};
use crate::ports::{
    ChildState, Exit, Lines, Program, Programs, Terraform, TerraformEnd, TerraformJob, TerraformWatch,
};
use crate::power_plants::{DatasetVersions, Plant, PlantDesk, PowerPlants, TopQuery};
use crate::{CancelSignal, Error, Result, RunId, SessionId, UserId};

pub struct Refusing;

impl Refusing {
    pub fn plants() -> Arc<PlantDesk> {
        Arc::new(PlantDesk::new(Arc::new(Self), Arc::new(Self), Arc::new(MemoryCache::default())))
    }
}

fn refused<T>() -> Result<T> {
    Err(Error::forbidden("test.port_refused", "This test gave the context no such port."))
}

fn untouched<T>() -> std::result::Result<T, TerraformEnd> {
    Err(TerraformEnd::Untouched("This test gave the context no Terraform.".to_owned()))
}

#[async_trait]
impl Programs for Refusing {
    async fn run(&self, _program: Program, _lines: &dyn Lines, _cancel: &CancelSignal) -> Result<Exit> {
        refused()
    }

    fn allowed(&self, _name: &str) -> Result<PathBuf> {
        refused()
    }

    fn inspect(&self, _record_dir: &Path) -> ChildState {
        ChildState::NeverStarted
    }
}

#[async_trait]
impl Terraform for Refusing {
    async fn apply(
        &self,
        _job: &TerraformJob,
        _watch: &dyn TerraformWatch,
        _cancel: &CancelSignal,
    ) -> std::result::Result<Value, TerraformEnd> {
        untouched()
    }

    async fn destroy(
        &self,
        _job: &TerraformJob,
        _watch: &dyn TerraformWatch,
        _cancel: &CancelSignal,
    ) -> std::result::Result<(), TerraformEnd> {
        untouched()
    }
}

impl LabCatalogue for Refusing {
    fn lab(&self, _name: &str) -> Option<Arc<Lab>> {
        None
    }

    fn labs(&self) -> Vec<Arc<Lab>> {
        Vec::new()
    }
}

#[async_trait]
impl Secrets for Refusing {
    async fn resolve(&self, _path: &str, _version: Option<&str>) -> Result<(String, String)> {
        refused()
    }
}

#[async_trait]
impl Ledger for Refusing {
    async fn reserve(&self, _session: SessionId, _count: u32) -> Result<Reservation> {
        refused()
    }

    async fn reservation(&self, _session: SessionId) -> Result<Option<Reservation>> {
        refused()
    }

    async fn reserved(&self) -> Result<Vec<Reserved>> {
        refused()
    }

    async fn settle(&self, _found: &[Found]) -> Result<()> {
        refused()
    }

    async fn orphans(&self) -> Result<Vec<Orphan>> {
        refused()
    }

    async fn forget(&self, _id: uuid::Uuid) -> Result<()> {
        refused()
    }
}

#[async_trait]
impl StepChecks for Refusing {
    async fn keep(&self, _look: &Look) -> Result<()> {
        refused()
    }

    async fn of_session(&self, _session: SessionId) -> Result<Vec<StepState>> {
        refused()
    }
}

#[async_trait]
impl LabSessions for Refusing {
    async fn open(&self, _user: UserId, _lab: &Lab) -> Result<Session> {
        refused()
    }

    async fn live(&self, _user: UserId, _lab: &str) -> Result<Option<Session>> {
        refused()
    }

    async fn members(&self, _lab: &str, _users: &[UserId]) -> Result<Vec<UserId>> {
        refused()
    }

    async fn live_of(&self, _user: UserId) -> Result<Vec<Session>> {
        refused()
    }

    async fn session(&self, _id: SessionId) -> Result<Option<Session>> {
        refused()
    }

    async fn find(&self, _filter: &SessionFilter) -> Result<Vec<Listed>> {
        refused()
    }

    async fn bests(&self, _user: UserId) -> Result<Vec<BestScore>> {
        refused()
    }

    async fn set_run(&self, _id: SessionId, _before: Option<RunId>, _run: RunId) -> Result<RunId> {
        refused()
    }

    async fn add_run(&self, _id: SessionId, _run: RunId) -> Result<()> {
        refused()
    }

    async fn touch(&self, _id: SessionId) -> Result<()> {
        refused()
    }

    async fn extend(&self, _id: SessionId) -> Result<Session> {
        refused()
    }

    async fn warnings(&self) -> Result<Vec<Session>> {
        refused()
    }

    async fn run_out(&self) -> Result<Vec<Session>> {
        refused()
    }

    async fn set_status(
        &self,
        _id: SessionId,
        _status: SessionStatus,
        _outputs: Option<Value>,
    ) -> Result<()> {
        refused()
    }

    async fn add_grade(&self, _grade: &Grade) -> Result<u32> {
        refused()
    }

    async fn grades(&self, _session: SessionId) -> Result<Vec<Grade>> {
        refused()
    }
}

#[async_trait]
impl Graders for Refusing {
    async fn grade(&self, _: GradeJob, _: &dyn Lines, _: &CancelSignal) -> Result<Graded> {
        refused()
    }
}

#[async_trait]
impl GradeEvidence for Refusing {
    async fn keep(&self, _evidence: &Evidence) -> Result<()> {
        refused()
    }

    async fn of_session(&self, _session: SessionId) -> Result<Vec<Evidence>> {
        refused()
    }
}

#[async_trait]
impl Objects for Refusing {
    async fn list(&self, _folder: &str) -> Result<Vec<Object>> {
        refused()
    }

    async fn read(&self, _object: &Object, _range: std::ops::Range<u64>) -> Result<Vec<u8>> {
        refused()
    }

    async fn ping(&self) -> Result<()> {
        refused()
    }
}

#[async_trait]
impl IngestStore for Refusing {
    async fn unknown(&self, _dataset: &str, _objects: Vec<Object>) -> Result<Vec<Object>> {
        refused()
    }

    async fn register(&self, _file: NewFile<'_>) -> Result<Option<i64>> {
        refused()
    }

    async fn begin(&self, _chunk: ChunkRef, _run: RunId) -> Result<Option<ChunkJob>> {
        refused()
    }

    async fn load(&self, _set: &Arc<Dataset>, _job: &ChunkJob, _bytes: Vec<u8>) -> Result<Option<Loaded>> {
        refused()
    }

    async fn give_up(&self, _chunk: ChunkRef, _standing: Standing, _reason: &str) -> Result<()> {
        refused()
    }

    async fn progress(&self, _run: RunId) -> Result<Progress> {
        refused()
    }

    async fn rejected(&self, _run: RunId, _at_most: i64) -> Result<Vec<RejectedFile>> {
        refused()
    }
}

#[async_trait]
impl PowerPlants for Refusing {
    async fn top(&self, _query: &TopQuery) -> Result<(Vec<Plant>, u64)> {
        refused()
    }

    async fn states(&self) -> Result<Vec<String>> {
        refused()
    }
}

#[async_trait]
impl DatasetVersions for Refusing {
    async fn version(&self, _dataset: &str) -> Result<i64> {
        refused()
    }

    async fn changed(&self) {
        std::future::pending().await
    }
}
