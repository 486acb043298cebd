use std::io::Write;

use super::*;

const NOTHING: [(&str, &str); 0] = [];

fn faults(environment: &[(&str, &str)]) -> Vec<String> {
    Config::load(None, environment.iter().copied()).expect_err("the settings are wrong")
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[test]
fn the_shipped_settings_stand_by_themselves() {
    let config = Config::load(None, NOTHING).unwrap();
    assert_eq!((config.server.address.to_string().as_str(), config.server.port), ("127.0.0.1", 8080));
    assert!(!config.demo && config.database.url.is_none() && config.aliases.is_empty());
}

#[test]
fn a_variable_wins_over_the_file_and_the_file_over_the_default() {
    let file = file(
        "[server]\nport = 9000\ndrain_s = 7\n[aliases]\ntask1 = { task = \"noop\", input = { a = 1 } }\n",
    );
    let config = Config::load(Some(file.path()), [("FLOW_SERVER_PORT", "9001")]).unwrap();
    assert_eq!((config.server.port, config.server.drain_s), (9001, 7));
    assert_eq!(config.aliases["task1"].task, "noop");
}

#[test]
fn lists_and_tables_can_be_written_in_a_variable() {
    let config = Config::load(
        None,
        [("FLOW_WORKER_LABELS", "terraform, gpu"), ("FLOW_EXEC_ALLOW", "date=/bin/date,id=/usr/bin/id")],
    )
    .unwrap();
    assert_eq!(config.worker.labels, ["terraform", "gpu"]);
    assert_eq!(config.exec.allow["id"], Path::new("/usr/bin/id"));
}

#[test]
fn variables_of_others_are_left_alone() {
    Config::load(
        None,
        [("PATH", "/bin"), ("FLOWERS", "roses"), ("FLOW_PASSWORD", "x"), ("ROCKET_PORT", "1")],
    )
    .unwrap();
}

#[test]
fn every_fault_is_listed_with_its_name_and_the_nearest_known_one() {
    let faults = faults(&[
        ("FLOW_SEVER_PORT", "80"),
        ("FLOW_SERVER_PORT", "eighty"),
        ("FLOW_SERVER_ADDRESS", "localhost"),
        ("FLOW_LOG_FORMAT", "jsn"),
        ("FLOW_LOG_LEVEL", "loud"),
        ("FLOW_DATABASE_POOL_SIZE", "0"),
        ("FLOW_EXEC_ALLOW", "date=bin/date"),
        ("FLOW_AUTH_SECRET", "hunter2"),
        ("FLOW_DEMO", "yes"),
    ]);
    let all = faults.join("\n");
    assert_eq!(faults.len(), 9, "{all}");
    assert!(all.contains("FLOW_SEVER_PORT is not a setting, did you mean FLOW_SERVER_PORT?"), "{all}");
    assert!(all.contains("FLOW_SERVER_PORT must be a whole number."), "{all}");
    assert!(all.contains("FLOW_LOG_FORMAT: unknown variant `jsn`, expected `text` or `json`."), "{all}");
    assert!(all.contains("FLOW_AUTH_SECRET: is too short"), "{all}");
    assert!(!all.contains("hunter2"), "{all}");
}

#[test]
fn an_unknown_key_in_a_file_is_named_with_the_file() {
    let file = file("demmo = true\n[server]\nprot = 1\nport = \"x\"\n[sever]\nport = 2\n");
    let faults = Config::load(Some(file.path()), NOTHING).unwrap_err().join("\n");
    let at = file.path().display();
    assert!(faults.contains(&format!("demmo in {at} is not a setting, did you mean demo?")), "{faults}");
    assert!(
        faults.contains(&format!("server.prot in {at} is not a setting, did you mean server.port?")),
        "{faults}"
    );
    assert!(faults.contains(&format!("server.port in {at} must be a whole number.")), "{faults}");
    assert!(faults.contains(&format!("sever in {at} is not a setting, did you mean server?")), "{faults}");
}

#[test]
fn a_file_that_is_not_toml_is_refused_by_line_without_quoting_it() {
    let file = file("[auth]\nsecret = hunter2 and more\n");
    let faults = Config::load(Some(file.path()), NOTHING).unwrap_err();
    assert!(faults[0].contains("is not TOML, line 2") && !faults[0].contains("hunter2"), "{faults:?}");
}

#[test]
fn a_secret_may_come_from_a_file_and_only_a_secret() {
    let secret = file("postgres://bob:pa55@db/flows\n");
    let path = secret.path().to_str().unwrap();
    let config = Config::load(None, [("FLOW_DATABASE_URL_FILE", path)]).unwrap();
    assert_eq!(config.database.url.unwrap().expose(), "postgres://bob:pa55@db/flows");
    assert!(
        faults(&[("FLOW_SERVER_PORT_FILE", path)])[0].starts_with("FLOW_SERVER_PORT_FILE is not a setting")
    );
    let twice = faults(&[("FLOW_DATABASE_URL_FILE", path), ("FLOW_DATABASE_URL", "x")]);
    assert_eq!(twice, ["FLOW_DATABASE_URL_FILE is set twice, as a value and as a file; leave one."]);
}

#[test]
fn no_secret_shows_in_debug_output_or_in_the_masked_list() {
    let schema = Schema::shipped();
    let key = "5e".repeat(32);
    // A key in the place of a secret: one at a time is allowed.
    let secrets =
        schema.keys.iter().filter(|key| key.secret && !["auth.key", "auth.second_key"].contains(&&*key.name));
    let environment = secrets.map(|secret| {
        let value = if secret.name.starts_with("state.") { key.clone() } else { format!("pa55-{:032}", 0) };
        (secret.variable.clone().unwrap(), value)
    });
    let config = Config::load(None, environment.collect::<Vec<_>>()).unwrap();
    let printed = format!("{config:?} {:?}", config.masked());
    assert!(
        !printed.contains("pa55") && !printed.contains("5e5e") && !printed.contains("94, 94"),
        "{printed}"
    );
    let url = config.masked().iter().find(|setting| setting.name == "database.url").unwrap();
    assert_eq!((url.value.as_str(), url.origin.as_str()), ("\"***\"", "FLOW_DATABASE_URL"));
}

#[test]
fn a_key_that_needs_another_says_so() {
    assert_eq!(
        faults(&[("FLOW_PROXMOX_URL", "https://pve:8006")]),
        ["proxmox.url is set, but proxmox.token, which it needs, is not."]
    );
}

#[test]
fn users_of_graders_are_a_range_without_root() {
    let config = Config::load(None, [("FLOW_GRADE_UIDS", "70000-70003")]).unwrap();
    assert_eq!(config.grade.uids, Some(70000..=70003));
    assert_eq!(Config::load(None, [("FLOW_GRADE_UIDS", "")]).unwrap().grade.uids, None);
    for wrong in ["0-9", "9-8", "nobody", "5", "1-4294967295"] {
        let why = faults(&[("FLOW_GRADE_UIDS", wrong)]);
        assert!(why[0].contains("FIRST-LAST"), "{why:?}");
    }
}

#[test]
fn there_is_one_key_to_sign_with_and_one_beside_it() {
    let secret = "x".repeat(32);
    let both = faults(&[("FLOW_AUTH_SECRET", &secret), ("FLOW_AUTH_KEY", "-----BEGIN")]);
    assert_eq!(both, ["auth.secret and auth.key are both set; leave one."]);
    let config =
        Config::load(None, [("FLOW_AUTH_KEY", "pa55"), ("FLOW_AUTH_SECOND_SECRET", &secret)]).unwrap();
    assert!(!format!("{config:?} {:?}", config.masked()).contains("pa55"));
}

#[test]
fn proxies_are_addresses_or_networks() {
    let config = Config::load(None, [("FLOW_SERVER_TRUSTED_PROXIES", "10.0.0.0/8, ::1, 192.0.2.7")]).unwrap();
    assert_eq!(config.server.trusted_proxies.len(), 3);
    assert!(faults(&[("FLOW_SERVER_TRUSTED_PROXIES", "proxy.local")])[0].contains("neither an IP address"));
    assert!(faults(&[("FLOW_SERVER_PUBLIC_URL", "example.org")])[0].contains("begins with http"));
}
