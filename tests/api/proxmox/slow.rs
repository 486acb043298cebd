//! A Proxmox VE of a test's own whose tasks go as slowly as the test wants: what the service asks of one, by HTTP.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use flow_manager::driven::proxmox::ProxmoxOptions;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use crate::harness::TestPve;

/// What it does instead of answering.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    Error500,
    /// Half an answer, and the end of the connection.
    Cut,
    /// Nothing, until something else is wanted.
    Hangs,
}

struct Task {
    kind: String,
    id: u32,
    started_s: i64,
    log: Vec<String>,
    exit: Option<String>,
    listed: bool,
    /// Lines given out, in calls.
    given: Vec<std::ops::Range<usize>>,
}

struct State {
    guests: BTreeMap<u32, Value>,
    configs: BTreeMap<u32, Value>,
    tasks: BTreeMap<String, Task>,
    fault: Fault,
    ahead_s: i64,
    calls: usize,
}

pub struct SlowPve {
    port: u16,
    state: Arc<Mutex<State>>,
    _server: AbortOnDropHandle<()>,
}

impl SlowPve {
    /// With the template 9000, which has these disks.
    pub async fn start(disks: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = (0..disks).map(|disk| (format!("scsi{disk}"), json!("local-lvm:base-9000,size=8G")));
        let state = Arc::new(Mutex::new(State {
            guests: BTreeMap::new(),
            configs: [(9000, Value::Object(config.collect()))].into(),
            tasks: BTreeMap::new(),
            fault: Fault::None,
            ahead_s: 0,
            calls: 0,
        }));
        let (port, shared) = (listener.local_addr().unwrap().port(), state.clone());
        let server = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, shared.clone()));
            }
        });
        let pve = Self { port, state, _server: AbortOnDropHandle::new(server) };
        pve.guest(json!({"vmid": 9000, "name": "template", "template": 1}));
        pve
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn options(&self) -> ProxmoxOptions {
        ProxmoxOptions { url: self.url(), token: TestPve::TOKEN.into(), fingerprint: None, ca_file: None }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Adds a machine, or changes it.
    pub fn guest(&self, mut guest: Value) {
        let vmid = guest["vmid"].as_u64().unwrap() as u32;
        for (key, value) in [("type", json!("qemu")), ("node", json!("pve1")), ("status", json!("stopped"))] {
            guest[key] = value;
        }
        self.lock().guests.insert(vmid, guest);
    }

    /// A task about the machine of this id begins; its own id.
    pub fn begin(&self, kind: &str, id: u32) -> String {
        let mut state = self.lock();
        let (number, started_s) = (state.tasks.len(), Timestamp::now().as_second() + state.ahead_s);
        let upid = format!("UPID:pve1:{number:08X}:{number:08X}:{started_s:08X}:{kind}:{id}:root@pam!ci:");
        let task =
            Task { kind: kind.into(), id, started_s, log: vec![], exit: None, listed: true, given: vec![] };
        state.tasks.insert(upid.clone(), task);
        upid
    }

    fn task<T>(&self, upid: &str, what: impl FnOnce(&mut Task) -> T) -> T {
        what(self.lock().tasks.get_mut(upid).unwrap())
    }

    pub fn says(&self, upid: &str, lines: &[&str]) {
        self.task(upid, |task| task.log.extend(lines.iter().map(|line| (*line).to_owned())));
    }

    /// It ends like this; its log says so, too.
    pub fn ends(&self, upid: &str, exit: &str) {
        self.task(upid, |task| {
            task.exit = Some(exit.to_owned());
            let last = if exit == "OK" || exit.starts_with("WARNINGS") {
                format!("TASK {exit}")
            } else {
                format!("TASK ERROR: {exit}")
            };
            task.log.push(last);
        });
    }

    /// Only the last lines of its log are left.
    pub fn trims(&self, upid: &str, left: usize) {
        self.task(upid, |task| drop(task.log.drain(..task.log.len() - left)));
    }

    /// It is in no list any more.
    pub fn forgets(&self, upid: &str) {
        self.task(upid, |task| task.listed = false);
    }

    /// Which lines were given out, a call each.
    pub fn given(&self, upid: &str) -> Vec<std::ops::Range<usize>> {
        self.task(upid, |task| task.given.clone())
    }

    pub fn fault(&self, fault: Fault) {
        self.lock().fault = fault;
    }

    /// Its clock goes so much before ours.
    pub fn ahead(&self, seconds: i64) {
        self.lock().ahead_s = seconds;
    }

    /// Waits until so many more calls have come.
    pub async fn called(&self, more: usize) {
        let wanted = self.lock().calls + more;
        let wait = async {
            while self.lock().calls < wanted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), wait).await.expect("nobody calls");
    }
}

async fn serve(mut client: TcpStream, state: Arc<Mutex<State>>) {
    let (mut request, mut bytes) = (Vec::new(), [0; 4096]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match client.read(&mut bytes).await {
            Ok(number @ 1..) => request.extend_from_slice(&bytes[..number]),
            _ => return,
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let token = format!("PVEAPIToken={}", TestPve::TOKEN);
    state.lock().unwrap().calls += 1;
    while state.lock().unwrap().fault == Fault::Hangs {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (status, body, date, cut) = {
        let mut state = state.lock().unwrap();
        let (status, body) = match state.fault {
            _ if !request.contains(&token) => (401, json!({"data": null})),
            Fault::Error500 => (500, json!({"data": null, "message": "cluster not ready - no quorum?"})),
            _ => answer(&mut state, &path).map_or((501, json!({"data": null})), |body| (200, body)),
        };
        let date = Timestamp::now().as_second() + state.ahead_s;
        (status, body.to_string(), Timestamp::from_second(date).unwrap(), state.fault == Fault::Cut)
    };
    let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT");
    let head = format!(
        "HTTP/1.1 {status} x\r\nDate: {date}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let answer = head + &body;
    let length = if cut { answer.len() / 2 } else { answer.len() };
    let _ = client.write_all(&answer.as_bytes()[..length]).await;
    let _ = client.shutdown().await;
}

fn answer(state: &mut State, path: &str) -> Option<Value> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parts: Vec<&str> = path.strip_prefix("/api2/json/")?.split('/').collect();
    let number = |key: &str| -> Option<i64> {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(name, _)| *name == key).find_map(|(_, value)| value.parse().ok())
    };
    match parts.as_slice() {
        ["version"] => Some(json!({"data": {"version": "9.0.10"}})),
        ["cluster", "resources"] => Some(json!({"data": state.guests.values().collect::<Vec<_>>()})),
        ["nodes", _, "qemu", vmid, "config"] => {
            Some(json!({"data": state.configs.get(&vmid.parse().ok()?)?}))
        }
        ["nodes", "pve1", "tasks"] => {
            let (about, since) = (number("vmid"), number("since").unwrap_or_default());
            let tasks = state.tasks.iter().filter(|(_, task)| {
                task.listed && task.started_s >= since && about.is_none_or(|id| id == i64::from(task.id))
            });
            let entry = |(upid, task): (&String, &Task)| {
                let mut entry = json!({"upid": upid, "type": task.kind, "starttime": task.started_s});
                if let Some(exit) = &task.exit {
                    entry["status"] = json!(exit);
                }
                entry
            };
            Some(json!({"data": tasks.map(entry).collect::<Vec<_>>()}))
        }
        ["nodes", "pve1", "tasks", upid, what] => {
            let task =
                state.tasks.get_mut(&upid.replace("%3A", ":").replace("%40", "@").replace("%21", "!"))?;
            match *what {
                "status" => Some(match &task.exit {
                    None => json!({"data": {"status": "running"}}),
                    Some(exit) => json!({"data": {"status": "stopped", "exitstatus": exit}}),
                }),
                "log" if task.log.is_empty() => {
                    Some(json!({"data": [{"n": 1, "t": "no content"}], "total": 1}))
                }
                "log" => {
                    let start = (number("start")? as usize).min(task.log.len());
                    let end = task.log.len().min(start + number("limit").unwrap_or(50) as usize);
                    if end > start {
                        task.given.push(start..end);
                    }
                    let line = |at: usize| json!({"n": at + 1, "t": task.log[at]});
                    Some(json!({"data": (start..end).map(line).collect::<Vec<_>>(), "total": task.log.len()}))
                }
                _ => None,
            }
        }
        _ => None,
    }
}
