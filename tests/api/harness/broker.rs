//! A private RabbitMQ: one for this test process, with a vhost for each test, or one of its own for a test that kills it.

use std::io::Write;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::app::free_port;

/// It takes some ten seconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(180);
/// Runs as the broker's guard: it starts and stops it as it is told through a pipe whose other end only this process
/// holds. However this process ends, the pipe ends with it, and the guard ends the broker and removes all it had.
const GUARD: &str = r#"
script=$1 dir=$2; shift 2
run() { setsid "$script" "$dir/node" "$@" >>"$dir/log" 2>&1 </dev/null & server=$!; }
end() { kill -KILL -$server; wait $server; } 2>/dev/null
run "$@"
while read -r told; do
    case $told in
    kill) end ;;
    stop) kill -TERM -$server; wait $server ;;
    start) run "$@" ;;
    esac
done
end
# What is dying may still write.
until rm -rf "$dir" 2>/dev/null; do sleep 0.1; done
"#;

pub struct Broker {
    dir: PathBuf,
    port: u16,
    management: u16,
    guard: Child,
}

/// The one of this process, started on first use.
pub async fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    tokio::task::spawn_blocking(|| BROKER.get_or_init(Broker::launch)).await.unwrap()
}

impl Broker {
    /// One that no other test uses.
    pub async fn private() -> Self {
        tokio::task::spawn_blocking(Self::launch).await.unwrap()
    }

    /// `amqp://…` of a vhost with nothing in it.
    pub async fn vhost(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let made = self.ask(reqwest::Method::PUT, &format!("vhosts/{name}")).await;
        assert!(made.as_ref().is_ok_and(|answer| answer.status().is_success()), "{made:?}");
        format!("amqp://guest:guest@127.0.0.1:{}/{name}", self.port)
    }

    /// Killed as by a power cut; what it had on disk stays. RabbitMQ 3.10.8 writes a queue's new term to disk some
    /// seconds late, and without it the queue may come back without a leader: a test that kills restarts it in order
    /// first, once the queues are declared, and kills once.
    pub fn kill(&mut self) {
        self.end("kill");
    }

    /// As by its service manager: it ends in order.
    pub async fn restart(&mut self) {
        self.end("stop");
        self.start_again().await;
    }

    fn end(&mut self, how: &str) {
        self.tell(how);
        let deadline = Instant::now() + PATIENCE;
        let listens = |port| TcpStream::connect(("127.0.0.1", port)).is_ok();
        while listens(self.port) || listens(self.management) {
            assert!(Instant::now() < deadline, "RabbitMQ does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub async fn start_again(&mut self) {
        self.tell("start");
        while !self.answers().await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn launch() -> Self {
        let dir = tempfile::Builder::new().prefix("fm-test-rabbitmq-").tempdir().unwrap().keep();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rabbitmq");
        let [port, management, node, epmd] = std::array::from_fn(|_| free_port());
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD, "guard", script]).arg(&dir);
        guard.args([port, management, node, epmd].map(|port| port.to_string()));
        guard.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let guard = guard.spawn().expect("a shell is on every machine that runs these tests");
        let broker = Self { dir, port, management, guard };
        let deadline = Instant::now() + PATIENCE;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        while !runtime.block_on(broker.answers()) {
            let log = std::fs::read_to_string(broker.dir.join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "RabbitMQ does not answer; scripts/setup rabbitmq\n{log}");
            std::thread::sleep(Duration::from_millis(100));
        }
        broker
    }

    fn tell(&mut self, what: &str) {
        writeln!(self.guard.stdin.as_ref().unwrap(), "{what}").unwrap();
    }

    async fn answers(&self) -> bool {
        let answer = self.ask(reqwest::Method::GET, "health/checks/local-alarms").await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    async fn ask(&self, method: reqwest::Method, path: &str) -> reqwest::Result<reqwest::Response> {
        let url = format!("http://127.0.0.1:{}/api/{path}", self.management);
        let client = reqwest::Client::builder().timeout(Duration::from_secs(20)).build()?;
        client.request(method, url).basic_auth("guest", Some("guest")).send().await
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}
