//! A Redis of a test's own.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::app::guard;
use super::free_port;

const PASSWORD: &str = "not-for-everybody";
const PATIENCE: Duration = Duration::from_secs(60);

/// Killed with the value, or with this process.
pub struct TestRedis {
    port: u16,
    process: Child,
    guard: Child,
}

impl TestRedis {
    pub fn start() -> Self {
        let port = free_port();
        let (process, guard) = spawn(port);
        Self { port, process, guard }
    }

    /// For `cache.url`.
    pub fn url(&self) -> String {
        self.url_with(PASSWORD)
    }

    pub fn url_with(&self, password: &str) -> String {
        format!("redis://:{password}@127.0.0.1:{}/0", self.port)
    }

    /// Everything in it is lost.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }

    /// On the same port.
    pub fn restart(&mut self) {
        (self.process, self.guard) = spawn(self.port);
    }

    /// It keeps its connections and answers nothing.
    pub fn hang(&self) {
        kill_process(Pid::from_child(&self.process), Signal::STOP).unwrap();
    }

    pub fn go_on(&self) {
        kill_process(Pid::from_child(&self.process), Signal::CONT).unwrap();
    }
}

impl Drop for TestRedis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }
}

/// Returns once it listens.
fn spawn(port: u16) -> (Child, Child) {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--save", "", "--requirepass", PASSWORD]);
    command.args(["--port", &port.to_string(), "--dir", "/tmp"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let process = command.spawn().expect("redis-server: `scripts/setup redis`");
    let guard = guard(process.id());
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "Redis does not listen on port {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
    (process, guard)
}
