use std::process::ExitCode;

use flow_manager::driver::cli;

fn main() -> ExitCode {
    cli::run(cli::Arguments::read())
}
