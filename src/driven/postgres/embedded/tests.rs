//! Against the real server programs of this machine, as whoever runs the tests, root included.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use rustix::process::{Pid, Signal, getsid};

use super::postmaster::{Found, is_alive, look, signal};
use super::*;

fn start(dir: &Path) -> Embedded {
    Embedded::start(&StateDir::open(Some(dir)).unwrap(), None).unwrap()
}

fn client(embedded: &Embedded) -> Client {
    embedded.url().parse::<postgres::Config>().unwrap().connect(NoTls).unwrap()
}

fn server_pid(state: &Path) -> Option<Pid> {
    match look(&state.canonicalize().unwrap().join("postgres/data")) {
        Found::Running(server) => Some(server.pid),
        _ => None,
    }
}

fn wait_until_gone(pid: Pid) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while is_alive(pid) {
        assert!(Instant::now() < deadline, "the server is still there");
        std::thread::yield_now();
    }
}

#[test]
fn data_is_found_again_after_a_stop_and_no_process_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let first = start(dir.path());
    client(&first).batch_execute("create table kept (n int); insert into kept values (42)").unwrap();
    let pid = server_pid(dir.path()).unwrap();
    first.stop().unwrap();
    assert!(!is_alive(pid) && !dir.path().join("postgres/.s.PGSQL.5432").exists());

    let second = start(dir.path());
    assert!(!second.taken_over());
    let kept: i32 = client(&second).query_one("select n from kept", &[]).unwrap().get(0);
    assert_eq!(kept, 42);
}

#[test]
fn it_is_durable_private_and_in_a_session_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let embedded = start(dir.path());
    let mut client = client(&embedded);
    let mut setting =
        |name: &str| -> String { client.query_one("select current_setting($1)", &[&name]).unwrap().get(0) };
    assert_eq!(["fsync", "synchronous_commit", "full_page_writes"].map(&mut setting), ["on", "on", "on"]);
    assert_eq!(["listen_addresses", "server_encoding", "TimeZone"].map(&mut setting), ["", "UTF8", "UTC"]);
    let pid = server_pid(dir.path()).unwrap();
    assert_eq!(getsid(Some(pid)).unwrap(), pid);
    use std::os::unix::fs::MetadataExt;
    assert_eq!(fs::metadata(dir.path().join("postgres")).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn a_server_left_running_by_a_killed_service_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let first = start(dir.path());
    let pid = server_pid(dir.path());
    // What SIGKILL does to a service: nothing of it runs any more, not even `drop`.
    std::mem::forget(first);
    let second = start(dir.path());
    assert!(second.taken_over());
    assert_eq!(server_pid(dir.path()), pid);
    second.stop().unwrap();
    assert_eq!(server_pid(dir.path()), None);
}

#[test]
fn a_crashed_server_is_started_again_with_what_it_had_committed() {
    let dir = tempfile::tempdir().unwrap();
    let first = start(dir.path());
    let mut idle = client(&first);
    idle.batch_execute("create table kept as select 7 as n").unwrap();
    let pid = server_pid(dir.path()).unwrap();
    signal(pid, Signal::KILL);
    wait_until_gone(pid);
    let keeper = first.keeper();
    assert!(keeper.is_gone());
    assert!(keeper.revive().unwrap());
    let kept: i32 = client(&first).query_one("select n from kept", &[]).unwrap().get(0);
    assert_eq!(kept, 7);
    assert!(!keeper.is_gone() && !keeper.revive().unwrap());
    first.stop().unwrap();
    assert!(!keeper.is_gone(), "it was told to go");
    assert!(!keeper.revive().unwrap() && server_pid(dir.path()).is_none(), "what was stopped stays stopped");
}

#[test]
fn a_start_that_was_killed_half_way_leaves_nothing_that_looks_whole() {
    let dir = tempfile::tempdir().unwrap();
    let half = dir.path().join("postgres/data.new-1");
    start(dir.path()).stop().unwrap();
    fs::rename(dir.path().join("postgres/data"), &half).unwrap();
    let embedded = start(dir.path());
    assert!(!half.exists());
    client(&embedded).simple_query("select 1").unwrap();
}

#[test]
fn a_path_too_long_for_a_socket_or_full_of_odd_letters_works_too() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).unwrap();
    let odd = dir.path().join("a 'b' \"c\" $HOME `d` \\ é");
    let embedded = start(&odd);
    client(&embedded).simple_query("select 1").unwrap();
    embedded.stop().unwrap();

    for other in ["long/".repeat(30), "com,ma".into()] {
        let embedded = start(&dir.path().join(other));
        assert!(embedded.url().starts_with("host='/tmp/flow-manager-"), "{}", embedded.url());
        client(&embedded).simple_query("select 1").unwrap();
        embedded.stop().unwrap();
    }
}
