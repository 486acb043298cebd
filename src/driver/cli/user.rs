//! `flow-manager user`: accounts by the command line; how the first admin comes to be.

use std::io::{self, BufRead, Write};

use clap::{Args, Subcommand, ValueEnum};
use flow_domain::users::{Account, Role};

use crate::app::StartError;
use crate::app::users::{self, Change};
use crate::config::Config;

#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make an account; its password is the first line of standard input, or made and shown when that is empty
    Add(NewUser),
    /// Close an account and end its tokens
    Disable {
        /// An id, an e-mail address or a username
        user: String,
    },
    /// Open an account again
    Enable {
        /// An id, an e-mail address or a username
        user: String,
    },
    /// Give a role and end the account's tokens
    Role {
        /// An id, an e-mail address or a username
        user: String,
        role: Given,
    },
    /// Show all accounts: id, role, e-mail address, username, and whether one is disabled
    List,
}

#[derive(Debug, Args)]
pub struct NewUser {
    #[arg(long)]
    email: Option<String>,
    /// 1 to 32 letters, digits, dots, underscores and hyphens
    #[arg(long)]
    username: Option<String>,
    /// What to call the user
    #[arg(long)]
    name: Option<String>,
    #[arg(long, default_value = "learner")]
    role: Given,
}

/// Roles that an account can have.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Given {
    Learner,
    Operator,
    Admin,
}

impl From<Given> for Role {
    fn from(role: Given) -> Self {
        match role {
            Given::Learner => Role::Learner,
            Given::Operator => Role::Operator,
            Given::Admin => Role::Admin,
        }
    }
}

/// Does it and prints the account.
pub fn run(config: &Config, command: UserCommand) -> Result<(), StartError> {
    let change = match command {
        UserCommand::Add(new) => return add(config, new),
        UserCommand::List => {
            let all = users::list(config)?;
            // A reader that has seen enough, such as `head`, is no failure.
            let mut out = io::stdout().lock();
            all.iter().try_for_each(|account| writeln!(out, "{}", line(account))).unwrap_or_default();
            return Ok(());
        }
        UserCommand::Disable { user } => Change::Disable { who: user },
        UserCommand::Enable { user } => Change::Enable { who: user },
        UserCommand::Role { user, role } => Change::Role { who: user, role: role.into() },
    };
    println!("{}", line(&users::change(config, change)?));
    Ok(())
}

fn add(config: &Config, new: NewUser) -> Result<(), StartError> {
    let mut password = String::new();
    let read = io::stdin().lock().read_line(&mut password);
    read.map_err(|error| StartError::new("The password cannot be read.").because(error))?;
    let given = password.trim_end_matches(['\r', '\n']);
    let made = given.is_empty().then(|| flow_domain::hex(rand::random::<[u8; 12]>()));
    let NewUser { email, username, name, role } = new;
    let password = made.clone().unwrap_or_else(|| given.to_owned());
    let account = users::change(config, Change::Add { email, username, name, role: role.into(), password })?;
    println!("{}", line(&account));
    if let Some(password) = made {
        println!("password {password}");
    }
    Ok(())
}

/// What is not there is a `-`, so that the columns stay where they are.
fn line(account: &Account) -> String {
    let user = &account.user;
    let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let state = if account.disabled { "disabled" } else { "enabled" };
    format!("{} {} {} {} {state}", user.id, user.role, shown(&user.email), shown(&user.username))
}
