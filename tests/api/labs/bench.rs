//! A service with labs, and what its learner's directories look like from inside.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Answer, TestApp, free_port};

/// Longer than any of these labs takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Bench {
    pub app: TestApp,
    token: String,
    /// The configuration of labs that are not shipped.
    config: Option<TempDir>,
    /// Where graders work: others may pass.
    desks: TempDir,
}

impl Bench {
    pub async fn shipped() -> Self {
        Self::shipped_with(&[]).await
    }

    pub async fn shipped_with(more: &[(&str, &str)]) -> Self {
        Self::start(None, more).await
    }

    /// The shipped flows, and one lab with these files.
    pub async fn with_lab(name: &str, main_tf: &str, grade: &str) -> Self {
        Self::with_card(name, main_tf, grade, "[grading]\ntimeout_s = 2\n", &[]).await
    }

    /// With more lines in its `lab.toml`, and more settings.
    pub async fn with_card(
        name: &str,
        main_tf: &str,
        grade: &str,
        more_card: &str,
        more: &[(&str, &str)],
    ) -> Self {
        let config = tempfile::tempdir().unwrap();
        let lab = config.path().join("labs").join(name);
        fs::create_dir_all(&lab).unwrap();
        let card = format!("title = \"T\"\nsummary = \"S\"\nminutes = 1\n{more_card}");
        for (file, text) in
            [("lab.toml", &*card), ("main.tf", main_tf), ("tutorial.md", "# T"), ("grade", grade)]
        {
            fs::write(lab.join(file), text).unwrap();
        }
        fs::set_permissions(lab.join("grade"), fs::Permissions::from_mode(0o755)).unwrap();
        let flows = config.path().join("flows");
        fs::create_dir(&flows).unwrap();
        for entry in
            fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/flows")).unwrap().flatten()
        {
            fs::copy(entry.path(), flows.join(entry.file_name())).unwrap();
        }
        if let Some((_, flow)) = more.iter().find(|(key, _)| *key == "flow") {
            fs::write(flows.join("more.toml"), flow).unwrap();
        }
        let more: Vec<_> = more.iter().filter(|(key, _)| *key != "flow").copied().collect();
        Self::start(Some(config), &more).await
    }

    async fn start(config: Option<TempDir>, more: &[(&str, &str)]) -> Self {
        let key = "ab".repeat(32);
        let pass = fs::Permissions::from_mode(0o711);
        let desks = tempfile::Builder::new().prefix("fm-desks-").permissions(pass).tempdir().unwrap();
        // Users that no other service of this machine has.
        let first = 20_000 + (u32::from(free_port()) - 20_000) * 3;
        let users = format!("{first}-{}", first + 2);
        let mut settings = vec![
            ("FLOW_GRADE_UIDS", users.as_str()),
            ("FLOW_STATE_KEY", key.as_str()),
            ("FLOW_GRADE_DIR", desks.path().to_str().unwrap()),
            ("FLOW_EXEC_ALLOW", "sh=/bin/sh,cat=/bin/cat,gone=/no/such/program"),
        ];
        if let Some(config) = &config {
            settings.push(("FLOW_CONFIG_DIR", config.path().to_str().unwrap()));
        }
        settings.extend(more);
        let app = TestApp::start_with(&settings).await;
        let token = app.login().await;
        Self { app, token, config, desks }
    }

    /// Processes that hold a lease on the work of the database.
    pub async fn workers_alive(&self) -> i64 {
        let sql = "select count(*) from worker where heartbeat_at > now() - interval '5 seconds'";
        self.app.db.pool.query_opt(sql, &[]).await.unwrap().unwrap().get(0)
    }

    /// Runs a flow to its end; the run.
    pub async fn run(&self, flow: &str, input: Value) -> Value {
        let answer = self.post(flow, input).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    pub async fn post(&self, flow: &str, input: Value) -> Answer {
        self.app.run_flow(&self.token, &json!(flow), &input).await
    }

    /// Runs one step of the task `exec`.
    pub async fn exec(&self, input: Value) -> Value {
        let flow = json!({"name": "one", "tasks": [{"name": "exec", "input": input}]});
        self.app.run_flow(&self.token, &flow, &json!({})).await.body
    }

    /// Starts a flow and does not wait; the run's id.
    pub async fn begin(&self, flow: Value, input: Value) -> String {
        let request = self.app.request(Method::POST, "/flow-manager").bearer_auth(&self.token);
        let body = json!({"flow": flow, "input": input});
        let answer = Answer::to(request.header("Prefer", "respond-async").json(&body)).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        answer.body["id"].as_str().unwrap().to_owned()
    }

    /// Waits for the run's end; the run.
    pub async fn end(&self, id: &str) -> Value {
        let start = Instant::now();
        loop {
            let answer = self.app.get(&format!("/flow-manager/runs/{id}"), &self.token).await;
            if !answer.body["finished_at"].is_null() {
                return answer.body;
            }
            assert!(start.elapsed() < PATIENCE, "it never ended: {}", answer.body);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn cancel(&self, id: &str) {
        let answer = self.app.post(&format!("/flow-manager/runs/{id}/cancel"), &self.token, &json!({})).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
    }

    /// Why the run is where it is.
    pub async fn why(&self, id: &str) -> Value {
        self.app.get(&format!("/flow-manager/runs/{id}/why"), &self.token).await.body
    }

    /// What the run reported so far, an event a line.
    pub async fn events(&self, id: &str) -> String {
        let (mut lines, mut after) = (Vec::new(), 0);
        loop {
            let path = format!("/flow-manager/runs/{id}/events?after={after}");
            let page = self.app.get(&path, &self.token).await.body;
            let events = page["events"].as_array().unwrap_or_else(|| panic!("{page}"));
            lines.extend(events.iter().map(Value::to_string));
            if events.is_empty() || page["done"] == true {
                return lines.join("\n");
            }
            after = page["after"].as_i64().unwrap();
        }
    }

    pub fn output(&self, run: &Value, step: &str) -> Value {
        let steps = run["tasks"].as_array().unwrap();
        let found =
            steps.iter().rev().find(|it| it["name"] == step).unwrap_or_else(|| panic!("no {step}: {run}"));
        found["output"].clone()
    }

    /// The one learner's directory of this lab.
    pub fn directory(&self, lab: &str) -> Option<PathBuf> {
        let users = fs::read_dir(self.app.state_dir().join("workspaces")).ok()?;
        users.flatten().map(|user| user.path().join(lab)).find(|dir| dir.is_dir())
    }

    /// Waits until a file is in the lab's directory.
    pub async fn appears(&self, lab: &str, file: &str) -> PathBuf {
        let start = Instant::now();
        loop {
            if let Some(path) = self.directory(lab).map(|dir| dir.join(file)).filter(|path| path.exists()) {
                return path;
            }
            assert!(start.elapsed() < PATIENCE, "{file} never came");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A path that a grader can reach.
    pub fn open_path(&self, name: &str) -> PathBuf {
        self.desks.path().join(name)
    }

    /// Processes of this service's graders, by the folder in their environment.
    pub fn graders_alive(&self) -> Vec<String> {
        let mark = format!("FM_GRADE_INPUT={}", self.desks.path().display());
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let ours = processes.filter(|process| {
            let environment = fs::read(process.path().join("environ")).unwrap_or_default();
            String::from_utf8_lossy(&environment).contains(&mark)
        });
        let shown = |process: fs::DirEntry| {
            let command = fs::read_to_string(process.path().join("cmdline")).unwrap_or_default();
            format!("{} {command}", process.file_name().display())
        };
        ours.map(shown).collect()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        let dir = self.config.as_ref().map_or_else(|| self.app.state_dir(), |dir| dir.path().to_owned());
        dir.join(name)
    }
}
