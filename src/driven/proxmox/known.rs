//! One task as far as it is known, and the part of its log that comes next.

use flow_domain::Result;
use flow_domain::labs::machines::MachineTask;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde::Deserialize;

use super::task::Upid;
use super::task_log::{TaskLog, plain};
use super::{Proxmox, escaped};

/// Lines of a log in one call, and calls for one log in one look.
const PAGE: usize = 500;
const PAGES: usize = 4;
/// Of a log that grew by more than this, what is between is left out: what is told last counts.
const MOST_LINES: usize = PAGE * (PAGES - 1);
const CLONES: [&str; 2] = ["qmclone", "vzclone"];

pub(super) struct Known {
    pub node: String,
    kind: String,
    started_s: i64,
    /// Of its id.
    pub about: Option<u32>,
    /// The machine of ours that it is about.
    pub vmid: Option<u32>,
    log: TaskLog,
    /// Of the machine that a clone is made from.
    pub disks: Option<usize>,
    pub exit: Option<String>,
    /// All was read that there is to read, or it is none of ours.
    pub over: bool,
}

/// What is to be read of a log next.
pub(super) struct Next {
    pub upid: String,
    node: String,
    from: usize,
    /// The machine whose disks are not known yet.
    disks_of: Option<u32>,
}

/// A part of a log.
#[derive(Default)]
pub(super) struct Part {
    from: usize,
    lines: Vec<String>,
    at_end: bool,
    /// It is shorter than what was read of it: the next look begins anew.
    cut: bool,
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    t: String,
}

impl Known {
    pub fn of(upid: &Upid, ours: &[u32]) -> Self {
        let mut known = Self {
            node: upid.node.to_owned(),
            kind: plain(upid.kind),
            started_s: upid.started_s,
            about: upid.vmid,
            vmid: None,
            log: TaskLog::default(),
            disks: None,
            exit: None,
            over: false,
        };
        known.vmid = upid.vmid.filter(|vmid| !known.is_clone() && ours.contains(vmid));
        known
    }

    pub fn is_clone(&self) -> bool {
        CLONES.contains(&self.kind.as_str())
    }

    /// A clone under way, and nobody knows of what machine.
    pub fn is_nobodys(&self) -> bool {
        self.is_clone() && self.vmid.is_none() && self.exit.is_none() && !self.over
    }

    pub fn next_part(&self, upid: &str) -> Next {
        let disks_of = self.about.filter(|_| self.is_clone() && self.disks.is_none());
        Next { upid: upid.to_owned(), node: self.node.clone(), from: self.log.read, disks_of }
    }

    pub fn take(&mut self, part: &Part, ours: &[u32]) {
        if part.cut {
            self.log = TaskLog::default();
            return;
        }
        self.log.read = part.from;
        self.log.take(&part.lines);
        let makes = if self.is_clone() { self.log.makes(self.about) } else { None };
        self.vmid = self.vmid.or(makes.filter(|vmid| ours.contains(vmid)));
        let anothers = self.vmid.is_none() && makes.is_some();
        self.over = anothers || (part.at_end && self.exit.is_some());
    }

    /// As it is told; none while nobody knows of what machine it is.
    pub fn told(&self, upid: &str, name: Option<String>, ahead: SignedDuration) -> Option<MachineTask> {
        let task = MachineTask {
            upid: upid.to_owned(),
            vmid: self.vmid?,
            name,
            kind: self.kind.clone(),
            started_at: Timestamp::from_second(self.started_s).ok()?.checked_sub(ahead).ok()?,
            exit: self.exit.clone(),
            percent: self.log.percent(self.disks.unwrap_or(1)),
            warnings: self.log.warnings.clone(),
        };
        // What it counted is done, whatever was told last.
        let done = !task.is_running() && !task.failed();
        Some(MachineTask { percent: task.percent.map(|percent| if done { 100 } else { percent }), ..task })
    }
}

impl Proxmox {
    /// A log from a line on, as far as it is read at once; and the disks of the machine of which that is to be known.
    pub(super) async fn part(&self, next: &Next) -> (Option<usize>, Result<Part>) {
        let disks = match next.disks_of {
            Some(source) => Some(self.disks(&next.node, source).await),
            None => None,
        };
        (disks, self.lines(next).await)
    }

    async fn lines(&self, next: &Next) -> Result<Part> {
        let mut part = Part { from: next.from, ..Part::default() };
        for _ in 0..PAGES {
            let start = part.from + part.lines.len();
            let (node, upid) = (&next.node, escaped(&next.upid));
            let path = format!("nodes/{node}/tasks/{upid}/log?start={start}&limit={PAGE}");
            let page = self.wire.answer::<Vec<Line>>(Method::GET, &path).await?;
            // An empty one is told as one line that is none.
            if start == 0 && matches!(page.data.as_slice(), [line] if line.t == "no content") {
                part.at_end = true;
                break;
            }
            match page.total {
                Some(total) if total < start => return Ok(Part { cut: true, ..Part::default() }),
                Some(total) if part.lines.is_empty() && total - start > MOST_LINES => {
                    part.from = total - MOST_LINES;
                    continue;
                }
                _ => {}
            }
            part.at_end = page.data.len() < PAGE;
            part.lines.extend(page.data.into_iter().map(|line| line.t));
            if part.at_end {
                break;
            }
        }
        Ok(part)
    }
}
