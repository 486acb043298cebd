//! The shipped tasks, one file each. A new task is one file and one line here.

mod grading;
mod http;
mod lab_session;
#[cfg(test)]
mod laws;
mod numbers;
mod programs;
mod spoken;

/// Declares each task's module and makes [`all`] from the same line. `cargo fmt` does not follow modules named in
/// a macro: `rustfmt tasks/*.rs` formats them.
macro_rules! tasks {
    ($($module:ident::$task:ident,)*) => {
        $(pub mod $module;)*

        /// Every task of this crate.
        pub fn all() -> Vec<std::sync::Arc<dyn flow_domain::flows::Task>> {
            vec![$(std::sync::Arc::new($module::$task)),*]
        }
    };
}

tasks! {
    auth_check::AuthCheck,
    check_step::CheckStep,
    close_session::CloseSession,
    create_directory::CreateDirectory,
    exec::Exec,
    fetch_data::FetchData,
    find_user::FindUser,
    grade::Grade,
    http_request::HttpRequest,
    ingest_load::IngestLoad,
    ingest_scan::IngestScan,
    ingest_wait::IngestWait,
    noop::Noop,
    oauth_profile::OauthProfile,
    open_session::OpenSession,
    prepare_directories::PrepareDirectories,
    process_data::ProcessData,
    program::RunProgram,
    publish_event::PublishEvent,
    ready_session::ReadySession,
    remove_directory::RemoveDirectory,
    sleep::Sleep,
    store_data::StoreData,
    store_grade::StoreGrade,
    terraform_apply::TerraformApply,
    terraform_destroy::TerraformDestroy,
    verify_oauth_token::VerifyOauthToken,
}
