//! What Terraform has of its own in a session's directory, and the environment it runs in.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use flow_domain::ports::TerraformJob;
use rustix::fs::{FallocateFlags, fallocate};

use super::TerraformOptions;
use crate::driven::process::record::{Record, private_dir, write_atomically};

/// A state of some hundred objects, and the lines around it.
const LAST_WORDS_BYTES: u64 = 1 << 20;

/// One of the commands; each has its own record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Init,
    /// Looks at what is there and changes nothing, after a command that was killed.
    Reconcile,
    Apply,
    Destroy,
}

impl Command {
    pub fn word(self) -> &'static str {
        match self {
            Command::Init => "init",
            Command::Reconcile => "reconcile",
            Command::Apply => "apply",
            Command::Destroy => "destroy",
        }
    }

    /// `apply -destroy` and not `destroy`: their streams are the same, and so is what is known about them.
    pub fn args(self) -> Vec<String> {
        let args: &[&str] = match self {
            Command::Init => &["init", "-input=false", "-no-color"],
            Command::Reconcile => &[
                "plan",
                "-refresh-only",
                "-detailed-exitcode",
                "-json",
                "-input=false",
                "-no-color",
                "-lock-timeout=60s",
            ],
            Command::Apply => &[
                "apply",
                "-auto-approve",
                "-json",
                "-input=false",
                "-no-color",
                "-parallelism=4",
                "-lock-timeout=60s",
            ],
            Command::Destroy => &[
                "apply",
                "-destroy",
                "-auto-approve",
                "-json",
                "-input=false",
                "-no-color",
                "-parallelism=4",
                "-lock-timeout=60s",
            ],
        };
        args.iter().map(|arg| (*arg).to_owned()).collect()
    }
}

/// Paths of one session.
pub struct Place {
    dir: PathBuf,
    own: PathBuf,
}

impl Place {
    pub fn of(job: &TerraformJob) -> Self {
        Self { dir: job.dir.clone(), own: job.dir.join(".flow") }
    }

    /// Makes what Terraform needs besides the lab's files. The state holds secrets in clear, so nobody else enters.
    pub fn prepare(&self) -> io::Result<()> {
        private_dir(&self.dir)?;
        fs::set_permissions(&self.dir, Permissions::from_mode(0o700))?;
        private_dir(&self.own)?;
        private_dir(&self.home())?;
        write_atomically(&self.cli_config(), b"")
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn state(&self) -> PathBuf {
        self.dir.join("terraform.tfstate")
    }

    /// What `init` makes.
    pub fn data(&self) -> PathBuf {
        self.dir.join(".terraform")
    }

    pub fn forget_data(&self) {
        let _ = fs::remove_dir_all(self.data());
    }

    pub fn record(&self, command: Command) -> PathBuf {
        self.own.join(command.word())
    }

    /// Keeps room on the disk for what Terraform is yet to say: on a full one its last words are the whole state. A disk
    /// that cannot promise anything is left as it is.
    pub fn reserve(&self, command: Command) {
        let record = Record::at(self.record(command));
        let reserved = record.create().and_then(|()| {
            let file = OpenOptions::new().append(true).create(true).mode(0o600).open(record.stdout())?;
            let length = file.metadata()?.len();
            Ok(fallocate(&file, FallocateFlags::KEEP_SIZE, length, LAST_WORDS_BYTES)?)
        });
        if let Err(error) = reserved {
            log::debug!("no room kept for terraform {}: {error}", command.word());
        }
    }

    pub fn forget(&self, command: Command) {
        if let Err(error) = fs::remove_dir_all(self.record(command))
            && error.kind() != io::ErrorKind::NotFound
        {
            log::warn!("a record of terraform {} is left behind: {error}", command.word());
        }
    }

    /// How far this command was told to be, by this or an earlier process; 0 once it is over.
    pub fn percent(&self, command: Command) -> u8 {
        let text = fs::read_to_string(self.percent_file(command)).unwrap_or_default();
        text.parse().unwrap_or_default()
    }

    /// Kept so that the bar does not go back when another process takes over.
    pub fn set_percent(&self, command: Command, percent: u8) {
        let _ = fs::write(self.percent_file(command), percent.to_string());
    }

    pub fn forget_percent(&self, command: Command) {
        let _ = fs::remove_file(self.percent_file(command));
    }

    fn percent_file(&self, command: Command) -> PathBuf {
        self.own.join(format!("{}.percent", command.word()))
    }

    /// From the first change on until everything is taken down, something may be out there.
    pub fn is_touched(&self) -> bool {
        self.touched().exists()
    }

    pub fn touch(&self) {
        if !self.is_touched()
            && let Err(error) = fs::write(self.touched(), "")
        {
            log::error!("a session's mark could not be set: {error}");
        }
    }

    pub fn untouch(&self) {
        let _ = fs::remove_file(self.touched());
    }

    fn touched(&self) -> PathBuf {
        self.own.join("touched")
    }

    pub fn doubt(&self) -> PathBuf {
        self.own.join("doubt.json")
    }

    fn home(&self) -> PathBuf {
        self.own.join("home")
    }

    /// A real file: for one that is missing Terraform warns at each start.
    fn cli_config(&self) -> PathBuf {
        self.own.join("terraform.rc")
    }

    /// Built from nothing: what the service has in its own environment is not for a lab.
    pub fn environment(
        &self,
        options: &TerraformOptions,
        variables: &BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let path = |path: PathBuf| path.to_string_lossy().into_owned();
        let mut environment = BTreeMap::from([
            ("PATH".to_owned(), options.search_path.clone()),
            ("HOME".to_owned(), path(self.home())),
            ("TF_IN_AUTOMATION".to_owned(), "1".to_owned()),
            ("TF_INPUT".to_owned(), "0".to_owned()),
            ("CHECKPOINT_DISABLE".to_owned(), "1".to_owned()),
            ("TF_CLI_CONFIG_FILE".to_owned(), path(self.cli_config())),
        ]);
        // As Go has it: in place of the system's file of authorities, beside those of its directories.
        let trusted = options.ca_file.as_ref().and_then(|file| std::path::absolute(file).ok());
        environment.extend(trusted.map(|file| ("SSL_CERT_FILE".to_owned(), path(file))));
        environment.extend(variables.iter().map(|(name, value)| (format!("TF_VAR_{name}"), value.clone())));
        environment
    }
}
