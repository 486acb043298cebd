//! A terminal that a test types into and reads.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal of its own, in which one program runs, by tmux.
pub struct Terminal {
    dir: TempDir,
}

impl Terminal {
    /// With this in the program's environment.
    pub fn start(environment: &[(&str, &str)], command: &[&str]) -> Self {
        let terminal = Self { dir: tempfile::tempdir().unwrap() };
        let size = ["new-session", "-d", "-x", "100", "-y", "30"];
        let variables: Vec<String> =
            environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let variables: Vec<&str> = variables.iter().map(String::as_str).collect();
        let environment = [&["env", "TERM=screen-256color"][..], &variables].concat();
        terminal.tmux(&[&size[..], &environment[..], command].concat());
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let mut tmux = Command::new("tmux");
        tmux.arg("-S").arg(self.socket()).args(["-f", "/dev/null"]).args(arguments);
        let output =
            tmux.env_remove("TMUX").stdin(Stdio::null()).output().expect("tmux: `scripts/setup tmux`");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("tmux")
    }

    pub fn types(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.tmux(&["send-keys", "Enter"]);
    }

    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until the screen shows this.
    pub async fn shows(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.screen().contains(text) {
            assert!(Instant::now() < deadline, "the screen does not show {text:?}:\n{}", self.screen());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the program has ended, with which its terminal goes.
    pub async fn ends(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.tmux(&["list-sessions"]).is_empty() {
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.screen());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}
