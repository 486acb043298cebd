//! `flow-manager user`: accounts by the command line; how the first admin comes to be.

use std::io::{self, BufRead, IsTerminal};

use clap::{Args, Subcommand, ValueEnum};
use flow_domain::users::{Account, Role};
use serde_json::json;

use super::print;
use crate::app::StartError;
use crate::app::users::{self, Change};
use crate::config::Config;

#[derive(Args, Debug)]
pub struct UserCommand {
    /// One JSON object a line: {id, email, username, name, role, disabled}, and the password that was made
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make an account; asks for its password, or makes one and shows it when nobody can be asked
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
struct NewUser {
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
    /// Take the password from the first line of standard input
    #[arg(long)]
    password_stdin: bool,
}

/// Roles that an account can have.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Given {
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
pub fn run(config: &Config, UserCommand { json, what }: UserCommand) -> Result<(), StartError> {
    let shown = |account: &Account| if json { object(account, None) } else { line(account) };
    let change = match what {
        What::Add(new) => return add(config, new, json),
        What::List => {
            print(users::list(config)?.iter().map(shown));
            return Ok(());
        }
        What::Disable { user } => Change::Disable { who: user },
        What::Enable { user } => Change::Enable { who: user },
        What::Role { user, role } => Change::Role { who: user, role: role.into() },
    };
    print([shown(&users::change(config, change)?)]);
    Ok(())
}

fn add(config: &Config, new: NewUser, json: bool) -> Result<(), StartError> {
    let NewUser { email, username, name, role, password_stdin } = new;
    let given = given_password(password_stdin)?;
    let made = given.is_none().then(|| flow_domain::hex(rand::random::<[u8; 12]>()));
    let password = given.or_else(|| made.clone()).unwrap_or_default();
    let account = users::change(config, Change::Add { email, username, name, role: role.into(), password })?;
    if json {
        print([object(&account, made)]);
    } else {
        print([line(&account)].into_iter().chain(made.map(|password| format!("password {password}"))));
    }
    Ok(())
}

/// A made password is shown this once.
fn object(account: &Account, made: Option<String>) -> String {
    let mut shown = json!(account.user);
    shown["disabled"] = json!(account.disabled);
    if let Some(password) = made {
        shown["password"] = json!(password);
    }
    shown.to_string()
}

/// None: one is to be made. Standard input is read only when that was asked for: in a script it may be anything.
fn given_password(from_stdin: bool) -> Result<Option<String>, StartError> {
    let unread = |error| StartError::new("The password cannot be read.").because(error);
    if from_stdin {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map_err(unread)?;
        return match line.trim_end_matches(['\r', '\n']) {
            "" => Err(StartError::new("There is no password on standard input.")),
            password => Ok(Some(password.to_owned())),
        };
    }
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    // Neither shows what is typed.
    let password = rpassword::prompt_password("Password (none: one is made): ").map_err(unread)?;
    if password.is_empty() {
        return Ok(None);
    }
    match rpassword::prompt_password("Once more: ").map_err(unread)? == password {
        true => Ok(Some(password)),
        false => Err(StartError::new("The two passwords differ.")),
    }
}

/// What is not there is a `-`, so that the columns stay where they are.
fn line(account: &Account) -> String {
    let user = &account.user;
    let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let state = if account.disabled { "disabled" } else { "enabled" };
    format!("{} {} {} {} {state}", user.id, user.role, shown(&user.email), shown(&user.username))
}
