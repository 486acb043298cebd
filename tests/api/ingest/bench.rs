//! A service over a folder of its own, and questions to its database.

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Answer, TestApp};

pub const HEADER: &str = "year,plant_id,plant_name,state,primary_fuel,capacity_mw,net_generation_mwh";

pub struct Bench {
    pub app: TestApp,
    pub token: String,
    folder: TempDir,
}

impl Bench {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(more: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("power-plants")).unwrap();
        let url = format!("file://{}", folder.path().display());
        let settings = [&[("FLOW_OBJECTS_URL", url.as_str())], more].concat();
        let app = TestApp::start_with(&settings).await;
        let token = app.login().await;
        Self { app, token, folder }
    }

    /// Another service over the same database and the same files.
    pub async fn replica(&self) -> TestApp {
        self.app.beside(&[("FLOW_OBJECTS_URL", &self.url())]).await
    }

    /// For `objects.url`.
    pub fn url(&self) -> String {
        format!("file://{}", self.folder.path().display())
    }

    /// Where a file of this name is looked for.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("power-plants").join(name)
    }

    pub fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// Runs `ingest` to its end; answers the run.
    pub async fn run(&self) -> Value {
        self.run_with(&json!({"dataset": "power-plants"})).await
    }

    pub async fn run_with(&self, input: &Value) -> Value {
        let mut answer: Answer = self.app.run_flow(&self.token, &json!("ingest"), input).await;
        while answer.body["finished_at"].is_null() && answer.status.is_success() {
            let run = answer.body["links"]["self"].as_str().unwrap().to_owned();
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            answer = self.app.get(&run, &self.token).await;
        }
        answer.body
    }

    /// Runs `ingest` and answers what its last step said.
    pub async fn ingest(&self) -> Value {
        let run = self.run().await;
        assert_eq!(run["status"], "succeeded", "{run}");
        run["tasks"][1]["output"].clone()
    }

    /// One number from the database.
    pub async fn count(&self, sql: &str) -> i64 {
        let client = self.app.db.pool.client().await.unwrap();
        client.query_one(sql, &[]).await.unwrap().get(0)
    }

    pub async fn plants(&self) -> i64 {
        self.count("select count(*) from ingested.power_plant").await
    }

    /// Line, column, code and content of the rows that were kept aside, by line.
    pub async fn skipped(&self) -> Vec<(i64, Option<String>, String, String)> {
        let client = self.app.db.pool.client().await.unwrap();
        let sql = "select line, column_name, code, content from ingest_skipped_row order by file_id, line";
        let rows = client.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect()
    }
}

/// The project's excerpt of a year, every twentieth plant.
pub fn excerpt(year: u32) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/power-plants");
    std::fs::read_to_string(format!("{folder}/us_power_plants_{year}.csv")).unwrap()
}

/// Rows below the header.
pub fn rows_of(csv: &str) -> i64 {
    csv.lines().count() as i64 - 1
}

/// A good row of this number.
pub fn row(id: u64) -> String {
    format!("2018,{id},Plant {id},CA,Solar,1.5,{id}.0")
}
