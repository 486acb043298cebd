//! What Rocket says that nobody should read.

use log::{Level, Metadata};

/// Libraries that print headers, bodies or statements when asked to be talkative. Their errors reach us as values.
const TALKATIVE: [&str; 5] = ["rocket", "rocket_http", "hyper", "hyper_util", "tokio_postgres"];

/// Whether a record may be logged at all, at any configured level; the service's logger asks it first.
///
/// Capping a crate by its name is not enough: Rocket's route macros log from our own modules (a guard's type and
/// error, at `warn`, with a target that ends in `::_`), and `rocket::server` logs every unknown path with its query
/// as an error.
pub fn worth_logging(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    if target.ends_with("::_") || target.starts_with("rocket::server") {
        return false;
    }
    let library = target.split("::").next().unwrap_or(target);
    !TALKATIVE.contains(&library) || metadata.level() <= Level::Error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worth(target: &str, level: Level) -> bool {
        worth_logging(&Metadata::builder().target(target).level(level).build())
    }

    #[test]
    fn our_own_words_pass_and_the_framework_s_do_not() {
        assert!(worth("flow_manager::driver::http::requests", Level::Info));
        assert!(worth("flow_domain::flows", Level::Trace));
        assert!(!worth("flow_manager::driver::http::login::_", Level::Warn));
        assert!(!worth("rocket::server::_", Level::Error));
        assert!(!worth("hyper::proto::h1", Level::Debug));
        assert!(!worth("tokio_postgres::query", Level::Warn));
        assert!(worth("tokio_postgres", Level::Error));
    }
}
