//! `process_data`: filter, sum, sort, limit and select rows, in this order.

mod filter;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use flow_domain::datasets::Row;
use flow_domain::flows::{Context, Effect, Stop, TypedTask};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::numbers::Number;
use filter::{Filter, is_empty};

pub struct ProcessData;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The rows, objects of columns. A string that holds a number, as in CSV, counts as one.
    rows: Vec<Row>,
    /// Keeps the rows that meet all of these.
    filter: Option<Vec<Filter>>,
    /// Replaces the rows by one for each group, holding the group's columns and the sums.
    sum: Option<Sum>,
    /// Orders the rows by these, the first the most important.
    sort: Option<Vec<Sort>>,
    /// Keeps the first so many rows.
    #[schemars(range(min = 1))]
    limit: Option<usize>,
    /// Keeps these columns.
    select: Option<Vec<String>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sum {
    /// The column or columns to add up; an empty cell counts as nothing.
    columns: Columns,
    /// The column or columns whose values make a group; all rows are one group when not given.
    by: Option<Columns>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sort {
    /// The column. Numbers come before text, empty cells last in either order.
    column: String,
    /// `asc` when not given.
    order: Option<Order>,
}

#[derive(Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Smallest first.
    Asc,
    /// Largest first.
    Desc,
}

/// One column's name or several.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Columns {
    One(String),
    Many(Vec<String>),
}

impl Columns {
    fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        }
    }
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// The rows that are left.
    rows: Vec<Row>,
    /// How many they are.
    count: usize,
}

#[async_trait]
impl TypedTask for ProcessData {
    const NAME: &'static str = "process_data";
    const DESCRIPTION: &'static str = "Filters, sums, sorts, limits and selects rows, in this order.";
    type Input = Input;
    type Output = Output;

    fn effect(&self) -> Effect {
        Effect::Pure
    }

    async fn run(&self, _ctx: &Context, input: Input) -> Result<Output, Stop> {
        let faults = faults(&input);
        if !faults.is_empty() {
            return Err(Stop::fail_clean("process.input_unfit", faults.join(" ")));
        }
        let mut rows = input.rows;
        if let Some(filters) = &input.filter {
            rows.retain(|row| filters.iter().all(|filter| filter.keeps(row)));
        }
        if let Some(sum) = &input.sum {
            rows = summed(rows, sum)?;
        }
        if let Some(sorts) = &input.sort {
            rows.sort_by(|a, b| {
                sorts.iter().map(|sort| sort.compare(a, b)).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
            });
        }
        rows.truncate(input.limit.unwrap_or(usize::MAX));
        if let Some(select) = &input.select {
            for row in &mut rows {
                row.retain(|column, _| select.contains(column));
            }
        }
        Ok(Output { count: rows.len(), rows })
    }
}

/// All that does not fit, as sentences. Without rows there are no columns to hold anything against.
fn faults(input: &Input) -> Vec<String> {
    let mut faults: Vec<String> = Vec::new();
    let filters = input.filter.as_deref().unwrap_or_default();
    for (position, filter) in filters.iter().enumerate() {
        faults.extend(filter.fault().map(|why| format!("filter {}: {why}.", position + 1)));
    }
    if input.limit == Some(0) {
        faults.push("limit: at least 1.".to_owned());
    }
    if input.rows.is_empty() {
        return faults;
    }
    let mut known: BTreeSet<&str> =
        input.rows.iter().flat_map(|row| row.keys().map(String::as_str)).collect();
    let mut need = |known: &BTreeSet<&str>, place: &str, column: &str| {
        if !known.contains(column) {
            // Enough to see a misspelling, short enough for a sentence.
            let some: Vec<&str> = known.iter().copied().take(20).collect();
            faults.push(format!("{place}: there is no column {column:?} among {}.", some.join(", ")));
        }
    };
    for filter in filters {
        need(&known, "filter", filter.column());
    }
    if let Some(Sum { columns, by }) = &input.sum {
        let by = by.as_ref().map(Columns::names).unwrap_or_default();
        columns.names().iter().chain(by).for_each(|column| need(&known, "sum", column));
        known = columns.names().iter().chain(by).map(String::as_str).collect();
    }
    for sort in input.sort.as_deref().unwrap_or_default() {
        need(&known, "sort", &sort.column);
    }
    for column in input.select.as_deref().unwrap_or_default() {
        need(&known, "select", column);
    }
    if let Some(Sum { columns, by: Some(by) }) = &input.sum
        && let Some(column) = columns.names().iter().find(|column| by.names().contains(column))
    {
        faults.push(format!("sum: {column:?} cannot be both a sum and a group."));
    }
    faults
}

/// One row for each group, in the order in which the groups first appear.
fn summed(rows: Vec<Row>, sum: &Sum) -> Result<Vec<Row>, Stop> {
    let by = sum.by.as_ref().map(Columns::names).unwrap_or_default();
    let columns = sum.columns.names();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut groups: Vec<(Row, Vec<Number>)> = Vec::new();
    for (position, row) in rows.iter().enumerate() {
        let group: Row =
            by.iter().map(|column| (column.clone(), row.get(column).cloned().unwrap_or_default())).collect();
        let key = Value::Object(group.clone()).to_string();
        let place = *places.entry(key).or_insert_with(|| {
            groups.push((group, vec![Number::ZERO; columns.len()]));
            groups.len() - 1
        });
        for (total, column) in groups[place].1.iter_mut().zip(columns) {
            let Some(cell) = row.get(column).filter(|cell| !is_empty(cell)) else { continue };
            let Some(number) = Number::of(cell) else {
                let detail =
                    format!("sum: {column:?} is not a number in row {} after the filter.", position + 1);
                return Err(Stop::fail_clean("process.not_a_number", detail));
            };
            *total = total.plus(number);
        }
    }
    let row = |(mut row, totals): (Row, Vec<Number>)| {
        row.extend(columns.iter().cloned().zip(totals.into_iter().map(Number::into_value)));
        row
    };
    Ok(groups.into_iter().map(row).collect())
}

impl Sort {
    fn compare(&self, a: &Row, b: &Row) -> Ordering {
        let cell = |row: &'_ Row| row.get(&self.column).filter(|cell| !is_empty(cell)).cloned();
        let (a, b) = match (cell(a), cell(b)) {
            (Some(a), Some(b)) => (a, b),
            (a, b) => return a.is_none().cmp(&b.is_none()),
        };
        let ascending = match (Number::of(&a), Number::of(&b)) {
            (Some(a), Some(b)) => a.compare(b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => match (&a, &b) {
                (Value::String(a), Value::String(b)) => a.cmp(b),
                (a, b) => a.to_string().cmp(&b.to_string()),
            },
        };
        if self.order == Some(Order::Desc) { ascending.reverse() } else { ascending }
    }
}

#[cfg(test)]
mod tests;
