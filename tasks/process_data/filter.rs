//! One condition on a column.

use std::cmp::Ordering;

use flow_domain::datasets::Row;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::numbers::Number;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// The column; a row without it has an empty cell there.
    column: String,
    /// How the cell is held against `value`.
    op: Op,
    /// A string, number or boolean; for `in` an array of them; for `empty` true, the default, or false.
    value: Option<Value>,
}

#[derive(Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Equal. Two strings are compared as text, so that the code "007" is not "7"; else numbers as numbers.
    Eq,
    /// Not equal.
    Ne,
    /// Less. Numbers as numbers, text as text; a number and a text are never less or greater.
    Lt,
    /// Less or equal.
    Le,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
    /// The cell's text holds the value's, or the cell is an array that holds the value.
    Contains,
    /// Equal to one of the array's items.
    In,
    /// Null, an empty string, or not there.
    Empty,
}

impl Filter {
    pub fn column(&self) -> &str {
        &self.column
    }

    /// Why the value does not go with the operation.
    pub fn fault(&self) -> Option<&'static str> {
        match (self.op, &self.value) {
            (Op::Empty, None | Some(Value::Bool(_))) => None,
            (Op::Empty, _) => Some("empty takes true, false or no value"),
            (Op::In, Some(Value::Array(_))) => None,
            (Op::In, _) => Some("in takes an array as its value"),
            (_, None) => Some("the value is missing; to look for empty cells there is the op empty"),
            (_, Some(Value::Array(_) | Value::Object(_))) => {
                Some("the value must be a string, number or boolean")
            }
            _ => None,
        }
    }

    pub fn keeps(&self, row: &Row) -> bool {
        let cell = row.get(&self.column).unwrap_or(&Value::Null);
        let value = self.value.as_ref().unwrap_or(&Value::Null);
        let is = |wanted: fn(Ordering) -> bool| order(cell, value).is_some_and(wanted);
        match self.op {
            Op::Eq => same(cell, value),
            Op::Ne => !same(cell, value),
            Op::Lt => is(Ordering::is_lt),
            Op::Le => is(Ordering::is_le),
            Op::Gt => is(Ordering::is_gt),
            Op::Ge => is(Ordering::is_ge),
            Op::Contains => match cell {
                Value::Array(items) => items.iter().any(|item| same(item, value)),
                _ => text(cell).is_some_and(|cell| text(value).is_some_and(|value| cell.contains(&value))),
            },
            Op::In => value.as_array().is_some_and(|items| items.iter().any(|item| same(cell, item))),
            Op::Empty => is_empty(cell) == value.as_bool().unwrap_or(true),
        }
    }
}

/// Null, or a string with nothing but white space: what an empty cell of a CSV file becomes.
pub fn is_empty(cell: &Value) -> bool {
    match cell {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

fn same(cell: &Value, value: &Value) -> bool {
    if let (Value::String(cell), Value::String(value)) = (cell, value) {
        return cell == value;
    }
    match (Number::of(cell), Number::of(value)) {
        (Some(cell), Some(value)) => cell.compare(value).is_eq(),
        _ => cell == value,
    }
}

fn order(cell: &Value, value: &Value) -> Option<Ordering> {
    match (Number::of(cell), Number::of(value)) {
        (Some(cell), Some(value)) => Some(cell.compare(value)),
        (None, None) if !is_empty(cell) => Some(cell.as_str()?.cmp(value.as_str()?)),
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}
