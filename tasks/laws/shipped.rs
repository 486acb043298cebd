//! The flows and aliases in `config/` fit the tasks, and give what they promise.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use flow_domain::flows::catalogue::Flow;
use flow_domain::flows::reference::Scope;
use flow_domain::flows::{Alias, Definition, Outcome, Registry};
use flow_domain::testing::TestContext;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::all;

pub(super) fn config(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../config").join(path)
}

pub(super) fn read<T: DeserializeOwned>(path: PathBuf) -> T {
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(super) fn aliases() -> BTreeMap<String, Alias> {
    let mut file: BTreeMap<String, BTreeMap<String, Alias>> = read(config("aliases.toml"));
    file.remove("aliases").expect("a table [aliases]")
}

fn registry() -> Registry {
    Registry::new(all()).expect("the registry takes all tasks")
}

fn checked(definition: Definition) -> Flow {
    let name = definition.name.clone();
    Flow::new(definition, &registry(), &aliases(), "").unwrap_or_else(|faults| panic!("{name}: {faults:?}"))
}

/// Runs the steps one after another as the engine would, when nothing goes wrong. Returns their outputs.
async fn outputs(flow: &Flow, test: &TestContext, input: Value) -> BTreeMap<String, Arc<Value>> {
    assert_eq!(flow.input_faults(&input), [], "the input fits");
    let (registry, mut outputs) = (registry(), BTreeMap::new());
    for step in &flow.definition.tasks {
        let scope = Scope { input: &input, caller: &test.caller, outputs: &outputs, secrets: None };
        let given =
            scope.resolve(&step.input.clone().unwrap_or(json!({}))).expect("its references lead somewhere");
        let registered = registry.get(step.task_name()).expect("a checked flow has known tasks");
        assert_eq!(registered.faults(&given, ""), [], "{}: the resolved input fits", step.name);
        match registered.task.run(&test.context(), given).await {
            Outcome::Done(output) => outputs.insert(step.name.clone(), Arc::new(output)),
            other => panic!("{}: {other:?}", step.name),
        };
    }
    outputs
}

#[test]
fn every_flow_file_is_named_after_its_flow_and_fits_the_tasks() {
    let files: Vec<_> = fs::read_dir(config("flows")).expect("the folder of flows").flatten().collect();
    assert!(!files.is_empty());
    for file in files {
        let flow = checked(read(file.path()));
        assert_eq!(
            file.path().file_stem().and_then(|stem| stem.to_str()),
            Some(flow.definition.name.as_str())
        );
    }
}

#[tokio::test]
async fn hello_greets_with_and_without_a_name() {
    let (flow, test) = (checked(read(config("flows/hello.toml"))), TestContext::new());
    for (input, name) in [(json!({"name": "Ada"}), json!("Ada")), (json!({}), Value::Null)] {
        let outputs = outputs(&flow, &test, input).await;
        assert_eq!(outputs["answer"]["rows"], json!([{"greeting": "hello", "name": name}]));
        assert_eq!(outputs["greet"]["value"]["asked_by"], json!(test.caller.id));
    }
    for unfit in [json!({"name": 1}), json!({"name": ""}), json!({"nmae": "Ada"})] {
        assert_ne!(flow.input_faults(&unfit), [], "{unfit}");
    }
}

#[tokio::test]
async fn the_report_stores_the_states_with_the_most() {
    let (flow, test) = (checked(read(config("flows/data-report.toml"))), TestContext::new());
    let two = outputs(&flow, &test, json!({"top": 2})).await;
    let expected =
        json!([{"state": "AZ", "net_generation": 40_100_000}, {"state": "TX", "net_generation": 36_200_000}]);
    assert_eq!(two["process"]["rows"], expected);
    assert_eq!(two["store"]["stored"], 2);
    let stored =
        test.ports.datasets.rows("generation_by_state", 10).await.expect("datasets in memory do not fail");
    assert_eq!(json!(stored), expected);
    assert_eq!(outputs(&flow, &test, json!({})).await["store"]["stored"], 5);
}

/// The three steps of the classic example carry a name and a description and nothing else.
#[tokio::test]
async fn steps_that_only_name_an_alias_run_by_it() {
    let condition = |name: &str, source: &str, target: &str| {
        json!({
            "name": name, "source_task": source, "outcome": "success",
            "target_task_success": target, "target_task_failure": "end",
        })
    };
    let classic = json!({
        "id": "flow123",
        "name": "Data processing flow",
        "start_task": "task1",
        "tasks": [
            {"name": "task1", "description": "Fetch data"},
            {"name": "task2", "description": "Process data"},
            {"name": "task3", "description": "Store data"},
        ],
        "conditions": [
            condition("condition_task1_result", "task1", "task2"),
            condition("condition_task2_result", "task2", "task3"),
        ],
    });
    let flow = checked(serde_json::from_value(classic).expect("a definition"));
    let outputs = outputs(&flow, &TestContext::new(), json!({})).await;
    assert_eq!(outputs["task1"]["count"], 5);
    assert_eq!(outputs["task2"]["rows"][0], json!({"state": "AZ", "net_generation": 40_100_000}));
    assert_eq!(*outputs["task3"], json!({"dataset": "generation_by_state", "stored": 3}));
}
