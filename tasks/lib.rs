//! The shipped tasks, one file each. A new task is one file and one line here.

mod http;
#[cfg(test)]
mod laws;
mod numbers;

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
    create_directory::CreateDirectory,
    fetch_data::FetchData,
    http_request::HttpRequest,
    noop::Noop,
    process_data::ProcessData,
    sleep::Sleep,
    store_data::StoreData,
}
