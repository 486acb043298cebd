//! What PostgreSQL says, as the domain's errors.
//!
//! The public sentence never holds SQL or a value. The cause, for the log, leaves out PostgreSQL's detail and, for
//! data errors, its message too: both repeat values, and a value may be an e-mail address.

use std::error::Error as _;
use std::fmt;

use flow_domain::{Error, Kind};
use tokio_postgres::error::{DbError, SqlState};

/// Constraints that a caller can run into, by name: the stable code and the sentence.
const CONFLICTS: &[(&str, &str, &str)] = &[
    ("app_user_pkey", "user.exists", "There is such a user already."),
    ("app_user_email_key", "user.email_taken", "Another user has this e-mail address."),
    ("app_user_username_key", "user.username_taken", "Another user has this username."),
    ("app_user_role_check", "user.role_reserved", "No user can have this role."),
    ("session_user_fkey", "user.unknown", "This user is not known here any more; sign in again."),
    ("session_live_key", "session.live", "A session of this lab is open already."),
    ("session_ended_check", "session.ended", "This session is over."),
    ("grade_run_key", "grade.stored", "This run's grade is stored already."),
    ("grade_score_check", "grade.score_invalid", "A score lies between 0 and its maximum."),
    ("grade_append_only", "grade.final", "A grade is never changed once stored."),
    ("grade_session_fkey", "session.unknown", "There is no such session."),
    ("terraform_state_session_fkey", "session.unknown", "There is no such session."),
];

/// Translates; used as `.map_err(error::from)`.
pub fn from(error: tokio_postgres::Error) -> Error {
    let cause = describe(&error);
    match error.as_db_error() {
        Some(refusal) => from_server(refusal, cause),
        None if is_connection(&error) => away(cause),
        None => Error::internal(cause),
    }
}

/// The database is there and has no time for us.
pub fn busy(cause: impl fmt::Display) -> Error {
    Error::unavailable("database.busy", "The database is busy; try again shortly.").because(cause)
}

/// Whether the server gave up this one so that another could go on: the same again may do.
pub fn is_deadlock(error: &Error) -> bool {
    let state = format!("SQLSTATE {}", SqlState::T_R_DEADLOCK_DETECTED.code());
    error.cause.as_ref().is_some_and(|cause| cause.starts_with(&state))
}

/// The database cannot be reached or is going down.
pub fn away(cause: impl fmt::Display) -> Error {
    Error::unavailable("database.unavailable", "The database is away; try again shortly.").because(cause)
}

/// An error in words for the log, without values.
pub fn describe(error: &tokio_postgres::Error) -> String {
    let Some(refusal) = error.as_db_error() else {
        return match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
    };
    let mut text = format!("SQLSTATE {}", refusal.code().code());
    if !refusal.code().code().starts_with("22") {
        text += &format!(": {}", refusal.message());
    }
    if let Some(constraint) = refusal.constraint() {
        text += &format!(" [constraint {constraint}]");
    }
    text
}

fn from_server(refusal: &DbError, cause: String) -> Error {
    let known = CONFLICTS.iter().find(|(name, ..)| refusal.constraint() == Some(name));
    if let Some((_, code, sentence)) = known {
        return Error::conflict(code, *sentence).because(cause);
    }
    let state = refusal.code();
    if is_away(state) {
        return away(cause);
    }
    if is_busy(state) {
        return busy(cause);
    }
    // jsonb and text know every character but this one.
    if *state == SqlState::UNTRANSLATABLE_CHARACTER || *state == SqlState::CHARACTER_NOT_IN_REPERTOIRE {
        return Error::new(
            Kind::Invalid,
            "value.nul_character",
            "Text with a NUL character cannot be stored.",
        )
        .because(cause);
    }
    Error::internal(cause)
}

/// Class 08 (connection), 53 (resources), 57P (the server is stopping or starting), and a standby that we
/// reached by mistake while a fail-over goes on.
fn is_away(state: &SqlState) -> bool {
    let code = state.code();
    code.starts_with("08")
        || code.starts_with("53")
        || code.starts_with("57P")
        || *state == SqlState::READ_ONLY_SQL_TRANSACTION
}

/// Ended by a timeout of ours or in favour of another: the same statement may pass later.
fn is_busy(state: &SqlState) -> bool {
    [
        SqlState::QUERY_CANCELED,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::T_R_SERIALIZATION_FAILURE,
    ]
    .contains(state)
}

/// Whether the connection failed rather than the statement. A parameter of the wrong type has a source too, but
/// not one of input and output.
fn is_connection(error: &tokio_postgres::Error) -> bool {
    error.is_closed() || error.source().is_some_and(|source| source.is::<std::io::Error>())
}
