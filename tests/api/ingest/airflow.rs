//! The DAG of docs/airflow.md, run as it stands against the service, with Airflow's names stood in for.

use std::process::Command;

use super::Bench;
use super::bench::{excerpt, rows_of};

/// Decorators that call at once, a sensor that asks until it is told, and a connection from the environment.
const AIRFLOW: &str = r#"
import os, sys, time, types

def module(name, **names):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__dict__.update(names)

class AirflowFailException(Exception):
    pass

class PokeReturnValue:
    def __init__(self, is_done, xcom_value=None):
        self.is_done, self.xcom_value = is_done, xcom_value

class Connection:
    host, login, password = (os.environ[name] for name in ("HOST", "LOGIN", "PASSWORD"))

class BaseHook:
    @staticmethod
    def get_connection(name):
        assert name == "flow_manager"
        return Connection

def task(function):
    return function

def sensor(**settings):
    def decorated(function):
        def ask(*given):
            for _ in range(600):
                told = function(*given)
                if told.is_done:
                    return told.xcom_value
                time.sleep(0.1)
        return ask
    return decorated

task.sensor = sensor
module("airflow")
module("airflow.decorators", dag=lambda **settings: lambda function: function, task=task)
module("airflow.exceptions", AirflowFailException=AirflowFailException)
module("airflow.hooks")
module("airflow.hooks.base", BaseHook=BaseHook)
module("airflow.sensors")
module("airflow.sensors.base", PokeReturnValue=PokeReturnValue)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_dag_starts_an_ingest_and_waits_for_it() {
    let bench = Bench::start().await;
    bench.put("2018.csv", excerpt(2018));
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/airflow.md")).unwrap();
    let dag = page.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let code = format!("{AIRFLOW}\n{dag}");
    let run = || {
        let mut command = Command::new("python3");
        command.args(["-c", &code]).env("HOST", &bench.app.base).env("LOGIN", "user3784mail@gmail.com");
        let done = command.env("PASSWORD", crate::harness::DEMO_PASSWORD).output().unwrap();
        let told = [done.stdout, done.stderr].concat();
        (done.status.success(), String::from_utf8_lossy(&told).into_owned())
    };
    let (done, told) = run();
    assert!(done, "{told}");
    assert_eq!(told.trim(), format!("{} rows loaded, 0 kept aside", rows_of(&excerpt(2018))));
    // The same Airflow run again finds its own ingest, as it ended.
    assert_eq!(run(), (true, told));
    assert_eq!(bench.plants().await, rows_of(&excerpt(2018)));
}
