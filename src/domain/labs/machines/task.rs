//! A task of the cluster about one machine, and what is told of it once.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{Result, SessionId};

/// Lines of a run that are about a task begin with this, and end with the task's id.
const SAYS: &str = "Proxmox VE: ";

/// A task of the cluster about one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineTask {
    pub upid: String,
    pub vmid: u32,
    /// What the machine is called, where the cluster knows it.
    pub name: Option<String>,
    /// `qmclone`, `qmstart` …
    pub kind: String,
    /// By our clock, to a second or two.
    pub started_at: Timestamp,
    /// As the cluster says it: `OK`, `WARNINGS: 1`, or what went wrong; none while it runs.
    pub exit: Option<String>,
    /// How far it is, where its log tells.
    pub percent: Option<u8>,
    /// Lines of its log that warn, each once.
    pub warnings: Vec<String>,
}

/// Something to tell of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskNews {
    /// The same whenever the same is told.
    pub key: String,
    /// Of the timeline's entry.
    pub data: Value,
    /// For the run's log.
    pub line: String,
}

/// Where it is noted what was told.
#[async_trait]
pub trait TaskNotes: Send + Sync {
    /// Adds it to the session's timeline; `false` when it stands there already.
    async fn tell(&self, session: SessionId, news: &TaskNews) -> Result<bool>;
}

impl MachineTask {
    pub fn is_running(&self) -> bool {
        self.exit.is_none()
    }

    /// Warnings are no failure; what nobody knows is.
    pub fn failed(&self) -> bool {
        self.exit.as_deref().is_some_and(|exit| exit != "OK" && !exit.starts_with("WARNINGS"))
    }

    /// "web-1", or "machine 700" before it has a name.
    pub fn machine(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("machine {}", self.vmid))
    }

    /// What it does, in words: "cloning disk".
    pub fn doing(&self) -> &str {
        match self.kind.as_str() {
            "qmclone" | "vzclone" => "cloning disk",
            "qmcreate" | "vzcreate" => "creating",
            "qmrestore" | "vzrestore" => "restoring",
            "qmstart" | "vzstart" => "starting",
            "qmreboot" | "vzreboot" => "restarting",
            "qmstop" | "qmshutdown" | "vzstop" | "vzshutdown" => "stopping",
            "qmdestroy" | "vzdestroy" => "removing",
            "qmconfig" | "resize" => "setting up",
            "qmmove" | "move_volume" | "imgcopy" => "moving disk",
            "qmmigrate" | "qmigrate" | "vzmigrate" => "moving to another node",
            "qmsnapshot" | "vzsnapshot" => "taking a snapshot",
            "qmrollback" | "vzrollback" => "rolling back",
            other => other,
        }
    }

    /// All that is to be told of it so far.
    pub fn news(&self) -> Vec<TaskNews> {
        let begun = json!({"started_at": self.started_at});
        let mut news = vec![self.tell("started", "", &format!("{} begins", self.doing()), begun)];
        for warning in &self.warnings {
            let text = format!("{} warns: {warning}", self.doing());
            news.push(self.tell("warning", warning, &text, json!({"warning": warning})));
        }
        if let Some(exit) = &self.exit {
            let text = if self.failed() { self.to_string() } else { format!("{} is done", self.doing()) };
            news.push(self.tell("ended", "", &text, json!({"exit": exit, "failed": self.failed()})));
        }
        news
    }

    fn tell(&self, status: &str, which: &str, text: &str, more: Value) -> TaskNews {
        let text = format!("{}: {text}", self.machine());
        let mut data = json!({
            "status": status, "upid": self.upid, "vmid": self.vmid, "machine": self.name, "task": self.kind,
            "text": text});
        if let (Some(data), Value::Object(more)) = (data.as_object_mut(), more) {
            data.extend(more);
        }
        let line = format!("{SAYS}{text} ({})", self.upid);
        TaskNews { key: format!("{}/{status}/{which}", self.upid), data, line }
    }
}

impl fmt::Display for MachineTask {
    /// "cloning disk 41 %", "cloning disk failed: storage 'x' full".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.doing())?;
        match (self.percent, &self.exit) {
            (Some(percent), None) => write!(f, " {percent} %"),
            (_, Some(exit)) if self.failed() => write!(f, " failed: {exit}"),
            _ => Ok(()),
        }
    }
}

/// Whether a line of a run is about a task: a timeline has these as entries of their own.
pub fn is_of_task(line: &str) -> bool {
    line.starts_with(SAYS) && line.ends_with(')') && line.contains(" (UPID:")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clone() -> MachineTask {
        MachineTask {
            upid: "UPID:pve1:0:0:65A1B2C3:qmclone:9000:fm@pve!labs:".into(),
            vmid: 700,
            name: Some("web-1".into()),
            kind: "qmclone".into(),
            started_at: Timestamp::from_second(0x65A1_B2C3).unwrap(),
            exit: None,
            percent: Some(41),
            warnings: vec![],
        }
    }

    #[test]
    fn a_task_is_told_as_it_begins_warns_and_ends_each_under_its_own_key() {
        let mut task = clone();
        assert_eq!(task.to_string(), "cloning disk 41 %");
        let begun = task.news();
        assert_eq!(begun.len(), 1);
        assert_eq!(begun[0].line, format!("Proxmox VE: web-1: cloning disk begins ({})", task.upid));
        assert!(is_of_task(&begun[0].line) && !is_of_task("Proxmox VE: web-1") && !is_of_task("x (UPID:)"));
        task.warnings = vec!["WARN: a".into(), "WARN: b".into()];
        task.exit = Some("WARNINGS: 2".into());
        let all = task.news();
        let statuses: Vec<_> = all.iter().map(|news| news.data["status"].as_str().unwrap()).collect();
        assert_eq!(statuses, ["started", "warning", "warning", "ended"]);
        let keys: std::collections::BTreeSet<_> = all.iter().map(|news| &news.key).collect();
        assert_eq!((keys.len(), &all[0].key), (4, &begun[0].key));
        assert_eq!(all[3].data["failed"], false);
    }

    #[test]
    fn a_failure_is_told_in_the_clusters_own_words_and_a_machine_without_a_name_by_its_id() {
        let exit = Some("storage 'x' full".to_owned());
        let task = MachineTask { exit, name: None, ..clone() };
        assert!(task.failed() && !task.is_running());
        let told = task.news().pop().unwrap();
        assert_eq!(told.data["text"], "machine 700: cloning disk failed: storage 'x' full");
        assert_eq!((&told.data["exit"], &told.data["failed"]), (&json!("storage 'x' full"), &json!(true)));
    }
}
