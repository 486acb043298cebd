//! Brings a database to this version's schema: forward only, in order, once.

use std::collections::BTreeMap;
use std::time::Instant;

use flow_domain::{Error, Result};
use postgres::{Client, Transaction};
use sha2::{Digest, Sha256};

use super::error;
use super::tls::Tls;

/// A file of `db/migrations`, named `NNNN_verb_noun`.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    pub name: &'static str,
    pub sql: &'static str,
}

macro_rules! migrations {
    ($($name:literal),* $(,)?) => {
        &[$(Migration {
            name: $name,
            sql: include_str!(concat!("../../../db/migrations/", $name, ".sql")),
        }),*]
    };
}

/// All of them, in order. A new file is one line here; a test names a file whose line was forgotten.
pub const MIGRATIONS: &[Migration] = migrations![
    "0001_create_flow_run",
    "0002_create_app_user",
    "0003_create_lab_session",
    "0004_create_dataset",
    "0005_create_signing_key",
    "0006_add_forced_cancel",
    "0008_shorten_flow_checks",
    "0010_extend_app_user",
    "0011_create_login",
    "0012_create_revocation",
    "0015_create_queue",
    "0016_create_identity",
    "0020_add_session_run",
    "0021_create_lab_time",
    "0025_create_grade_evidence",
    "0030_create_room",
    "0050_create_flow_schedule",
    "0051_create_flow_drop_week",
    "0060_create_token_key",
    "0065_keep_every_state",
    "0070_tell_session_rooms",
    "0080_create_power_plant",
    "0081_create_ingest",
    "0100_create_flow_limit",
    "0101_create_flow_pause",
    "0102_age_flow_version",
    "0120_add_session_time",
    "0121_create_session_timeline",
    "0122_create_session_step",
    "0123_create_machine_ledger",
    "0150_add_run_trace",
    "0190_index_session_list",
];

/// Held while migrating, so that services that start at once wait for the first. Any number no one else uses.
const LOCK: i64 = 0x666c_6f77_6d67_7201;

/// Applies what is missing and answers the names of what was applied now.
///
/// Errors: `database.unavailable` while there is no server, worth another try; `migration.changed` when a file
/// differs from what was applied under its number, `migration.failed` when one cannot be applied; then what came
/// before it stays applied, and of itself nothing.
pub async fn migrate(config: &tokio_postgres::Config) -> Result<Vec<&'static str>> {
    let config = config.clone();
    let (done, answer) = tokio::sync::oneshot::channel();
    // The synchronous client brings a runtime of its own and panics inside another.
    std::thread::Builder::new()
        .name("migrate".into())
        .spawn(move || done.send(migrate_blocking(config, MIGRATIONS)))
        .map_err(Error::internal)?;
    answer.await.unwrap_or_else(|_| Err(Error::internal("the migrating thread died")))
}

/// The same, with any list, for a plain thread.
pub fn migrate_blocking(
    config: tokio_postgres::Config,
    migrations: &'static [Migration],
) -> Result<Vec<&'static str>> {
    let mut config = postgres::Config::from(config);
    config.application_name("flow-manager migrate").options("-c statement_timeout=0 -c lock_timeout=0");
    let mut client = config.connect(Tls).map_err(|cause| error::away(error::describe(&cause)))?;
    prepare(&mut client).map_err(error::from)?;
    let applied = applied(&mut client).map_err(error::from)?;
    refuse_changed(&applied, migrations)?;
    for version in
        applied.keys().filter(|version| migrations.iter().all(|known| known.version() != **version))
    {
        log::warn!("the database has migration {version:04}, which a newer version of the service made");
    }
    let missing = migrations.iter().filter(|migration| !applied.contains_key(&migration.version()));
    missing.map(|migration| apply(&mut client, migration).map(|()| migration.name)).collect()
}

impl Migration {
    /// The number its name begins with.
    fn version(&self) -> i32 {
        self.name[..4].parse().expect("a test holds every name to four digits first")
    }

    fn sha256(&self) -> String {
        flow_domain::hex(Sha256::digest(self.sql))
    }
}

/// Takes the lock, which ends with the connection, and makes the table of what was applied.
fn prepare(client: &mut Client) -> Result<(), postgres::Error> {
    client.execute("select pg_advisory_lock($1)", &[&LOCK])?;
    // One that waits for a table behind a long statement would make everyone else wait behind itself.
    client.batch_execute(
        "set lock_timeout = '30s';
         set client_min_messages = warning;
         create table if not exists schema_migration (
             version integer not null,
             name text not null,
             sha256 text not null,
             applied_at timestamptz not null default now(),
             constraint schema_migration_pkey primary key (version)
         );",
    )
}

/// Name and hash of what was applied, by number.
fn applied(client: &mut Client) -> Result<BTreeMap<i32, (String, String)>, postgres::Error> {
    let rows = client.query("select version, name, sha256 from schema_migration", &[])?;
    rows.iter().map(|row| Ok((row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?)))).collect()
}

fn refuse_changed(applied: &BTreeMap<i32, (String, String)>, migrations: &[Migration]) -> Result<()> {
    for migration in migrations {
        if let Some((name, sha256)) = applied.get(&migration.version())
            && (name != migration.name || *sha256 != migration.sha256())
        {
            let sentence = format!(
                "The migration {} differs from {name}, which this database was made with; \
                 a migration is never changed, a new one is added.",
                migration.name,
            );
            return Err(Error::conflict("migration.changed", sentence));
        }
    }
    Ok(())
}

fn apply(client: &mut Client, migration: &Migration) -> Result<()> {
    let started = Instant::now();
    let write = |mut transaction: Transaction| {
        transaction.batch_execute(migration.sql)?;
        transaction.execute(
            "insert into schema_migration (version, name, sha256) values ($1, $2, $3)",
            &[&migration.version(), &migration.name, &migration.sha256()],
        )?;
        transaction.commit()
    };
    client.transaction().and_then(write).map_err(|cause| failed(migration, cause))?;
    log::info!("migration {} applied in {} ms", migration.name, started.elapsed().as_millis());
    Ok(())
}

/// A database that goes away meanwhile is worth another try; anything else is the migration's fault.
fn failed(migration: &Migration, cause: postgres::Error) -> Error {
    let reason = error::describe(&cause);
    match error::from(cause) {
        away if away.kind == flow_domain::Kind::Unavailable => away,
        _ => {
            let sentence = format!("The migration {} could not be applied.", migration.name);
            Error::conflict("migration.failed", sentence).because(reason)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_its_line_in_order() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/db/migrations");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .map(|file| {
                file.strip_suffix(".sql").unwrap_or_else(|| panic!("{file} is no .sql file")).to_owned()
            })
            .collect();
        files.sort();
        let lines: Vec<&str> = MIGRATIONS.iter().map(|migration| migration.name).collect();
        assert_eq!(lines, files);
    }

    #[test]
    fn names_are_a_number_a_verb_and_a_noun() {
        for Migration { name, .. } in MIGRATIONS {
            let (number, words) = name.split_at(4);
            assert!(number.bytes().all(|byte| byte.is_ascii_digit()), "{name}");
            assert!(words.split('_').skip(1).filter(|word| !word.is_empty()).count() >= 2, "{name}");
            assert!(words.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase()), "{name}");
        }
    }

    #[test]
    fn no_two_have_one_number() {
        assert!(MIGRATIONS.windows(2).all(|pair| pair[0].version() < pair[1].version()));
    }
}
