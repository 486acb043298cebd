use flow_domain::flows::{Outcome, Task};
use flow_domain::testing::TestContext;
use serde_json::json;

use super::*;

/// As CSV brings them: every value a string.
fn plants() -> Value {
    json!([
        {"name": "Palo Verde", "state": "AZ", "mwh": "31920.5", "fuel": "nuclear"},
        {"name": "Hoover", "state": "AZ", "mwh": "3300", "fuel": "water"},
        {"name": "Grand Coulee", "state": "WA", "mwh": "21000", "fuel": "water"},
        {"name": "Old Mill", "state": "WA", "mwh": "", "fuel": null},
        {"name": "Diablo", "state": "CA", "mwh": "900", "fuel": "nuclear"},
    ])
}

async fn process(mut input: Value) -> Outcome {
    if input.get("rows").is_none() {
        input["rows"] = plants();
    }
    Task::run(&ProcessData, &TestContext::new().context(), input).await
}

async fn rows(input: Value) -> Value {
    match process(input.clone()).await {
        Outcome::Done(output) => {
            assert_eq!(output["count"], json!(output["rows"].as_array().map(Vec::len)), "{input}");
            output["rows"].clone()
        }
        other => panic!("{input}: {other:?}"),
    }
}

async fn names(filter: Value) -> Vec<String> {
    let rows = rows(json!({"filter": [filter]})).await;
    rows.as_array()
        .expect("rows")
        .iter()
        .map(|row| row["name"].as_str().expect("a name").to_owned())
        .collect()
}

async fn refusal(input: Value) -> (String, String) {
    match process(input).await {
        Outcome::FailClean(why) => (why.code, why.detail),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn sums_by_state_and_sorts_by_the_sum() {
    let input = json!({
        "sum": {"columns": "mwh", "by": "state"},
        "sort": [{"column": "mwh", "order": "desc"}],
    });
    let expected = json!([
        {"state": "AZ", "mwh": 35220.5}, {"state": "WA", "mwh": 21000}, {"state": "CA", "mwh": 900},
    ]);
    assert_eq!(rows(input).await, expected);
}

#[tokio::test]
async fn sums_over_all_rows_and_by_several_columns() {
    assert_eq!(rows(json!({"sum": {"columns": ["mwh"]}})).await, json!([{"mwh": 57120.5}]));
    let by_two = rows(json!({"sum": {"columns": ["mwh"], "by": ["state", "fuel"]}, "limit": 2})).await;
    assert_eq!(
        by_two,
        json!([{"state": "AZ", "fuel": "nuclear", "mwh": 31920.5}, {"state": "AZ", "fuel": "water", "mwh": 3300}])
    );
}

#[tokio::test]
async fn numbers_in_strings_are_compared_as_numbers() {
    assert_eq!(names(json!({"column": "mwh", "op": "lt", "value": 3300})).await, ["Diablo"]);
    assert_eq!(names(json!({"column": "mwh", "op": "le", "value": "3300"})).await, ["Hoover", "Diablo"]);
    assert_eq!(names(json!({"column": "mwh", "op": "gt", "value": 21000})).await, ["Palo Verde"]);
    assert_eq!(
        names(json!({"column": "mwh", "op": "ge", "value": 21000})).await,
        ["Palo Verde", "Grand Coulee"]
    );
    assert_eq!(names(json!({"column": "mwh", "op": "eq", "value": 3300.0})).await, ["Hoover"]);
}

#[tokio::test]
async fn the_other_filters_do_what_they_say() {
    assert_eq!(
        names(json!({"column": "fuel", "op": "eq", "value": "water"})).await,
        ["Hoover", "Grand Coulee"]
    );
    assert_eq!(
        names(json!({"column": "state", "op": "ne", "value": "WA"})).await,
        ["Palo Verde", "Hoover", "Diablo"]
    );
    assert_eq!(names(json!({"column": "name", "op": "contains", "value": "Mi"})).await, ["Old Mill"]);
    assert_eq!(names(json!({"column": "state", "op": "in", "value": ["CA", "NV"]})).await, ["Diablo"]);
    assert_eq!(names(json!({"column": "mwh", "op": "empty"})).await, ["Old Mill"]);
    assert_eq!(names(json!({"column": "fuel", "op": "empty", "value": true})).await, ["Old Mill"]);
    assert_eq!(names(json!({"column": "mwh", "op": "empty", "value": false})).await.len(), 4);
    assert_eq!(names(json!({"column": "name", "op": "lt", "value": "E"})).await, ["Diablo"]);
}

#[tokio::test]
async fn codes_that_look_like_numbers_stay_apart() {
    let input = json!({"rows": [{"zip": "07030"}, {"zip": "7030"}], "filter": [{"column": "zip", "op": "eq", "value": "7030"}]});
    assert_eq!(rows(input).await, json!([{"zip": "7030"}]));
}

#[tokio::test]
async fn all_parts_work_in_their_order() {
    let input = json!({
        "filter": [{"column": "fuel", "op": "empty", "value": false}, {"column": "state", "op": "ne", "value": "CA"}],
        "sort": [{"column": "fuel"}, {"column": "mwh", "order": "desc"}],
        "limit": 2,
        "select": ["name"],
    });
    assert_eq!(rows(input).await, json!([{"name": "Palo Verde"}, {"name": "Grand Coulee"}]));
}

#[tokio::test]
async fn empty_cells_sort_last_in_either_order() {
    for order in ["asc", "desc"] {
        let sorted = rows(json!({"sort": [{"column": "mwh", "order": order}], "select": ["name"]})).await;
        assert_eq!(sorted[4]["name"], "Old Mill", "{order}");
    }
}

#[tokio::test]
async fn every_unknown_column_is_named_with_those_there_are() {
    let (code, detail) = refusal(json!({
        "filter": [{"column": "stat", "op": "eq", "value": "AZ"}],
        "sum": {"columns": "mwh", "by": "state"},
        "sort": [{"column": "name"}],
        "select": ["staet"],
    }))
    .await;
    assert_eq!(code, "process.input_unfit");
    assert_eq!(
        detail,
        "filter: there is no column \"stat\" among fuel, mwh, name, state. \
         sort: there is no column \"name\" among mwh, state. \
         select: there is no column \"staet\" among mwh, state."
    );
}

#[tokio::test]
async fn values_that_do_not_go_with_their_op_are_refused() {
    for (op, value) in [("eq", Value::Null), ("in", json!("CA")), ("empty", json!(1)), ("lt", json!([1]))] {
        let input = json!({"filter": [{"column": "state", "op": op, "value": value}]});
        let (code, detail) = refusal(input).await;
        assert_eq!(code, "process.input_unfit", "{op}");
        assert!(detail.starts_with("filter 1: "), "{detail}");
    }
    assert_eq!(refusal(json!({"limit": 0})).await.1, "limit: at least 1.");
    let both = json!({"sum": {"columns": ["mwh"], "by": ["mwh"]}});
    assert_eq!(refusal(both).await.1, "sum: \"mwh\" cannot be both a sum and a group.");
}

#[tokio::test]
async fn a_word_cannot_be_summed_and_is_not_repeated() {
    let refused = refusal(json!({"sum": {"columns": "name"}})).await;
    assert_eq!(refused.0, "process.not_a_number");
    assert_eq!(refused.1, "sum: \"name\" is not a number in row 1 after the filter.");
}

#[tokio::test]
async fn no_rows_stay_no_rows() {
    let input = json!({"rows": [], "filter": [{"column": "x", "op": "empty"}], "sum": {"columns": "y", "by": "z"}, "select": ["w"]});
    assert_eq!(rows(input).await, json!([]));
}
