//! `fetch_data`: rows from an allowed server, as JSON or CSV, or given inline.

use std::time::Duration;

use async_trait::async_trait;
use flow_domain::datasets::Row;
use flow_domain::flows::{Context, Plan, Policy, Stop, TypedTask};
use flow_domain::ports::{HttpRequest, HttpResponse};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::http::{is_json, may_pass, media_type, retry_after, send};

pub struct FetchData;

/// Of the answer as it comes; `pointer` may pick a small part of it.
const MAX_ANSWER_BYTES: usize = 8 << 20;

/// Of the output as JSON: what a step may keep.
const MAX_OUTPUT_BYTES: usize = 1 << 20;

/// For the whole exchange.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("anyOf" = [{"required": ["data"]}, {"required": ["url"]}]))]
pub struct Input {
    /// The rows themselves, objects of columns; instead of `url`.
    data: Option<Vec<Row>>,
    /// Where to get them: http or https, on an allowed host.
    url: Option<String>,
    /// How to read the answer; found out from its content type, then from the URL's ending, when not given.
    format: Option<Format>,
    /// JSON pointer to the rows in the answer, such as `/response/data`; the whole answer when not given.
    pointer: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// An array of objects.
    Json,
    /// RFC 4180 with a line of column names; every value is a string.
    Csv,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// The rows.
    rows: Vec<Row>,
    /// How many they are.
    count: usize,
}

#[async_trait]
impl TypedTask for FetchData {
    const NAME: &'static str = "fetch_data";
    const DESCRIPTION: &'static str =
        "Gets rows as JSON or CSV from an allowed server, or takes them inline.";
    type Input = Input;
    type Output = Output;

    fn policy(&self) -> Policy {
        Policy { timeout: TIMEOUT + Duration::from_secs(5), attempts: 4, ..Policy::default() }
    }

    async fn run(&self, ctx: &Context, input: Input) -> Result<Output, Stop> {
        let rows = match (input.data, input.url) {
            (Some(rows), None) if input.format.is_none() && input.pointer.is_none() => rows,
            (Some(_), None) => return Err(unfit("format and pointer go with url, not with data.")),
            (None, Some(url)) => {
                let answer = get(ctx, &url, input.format).await?;
                let format = input.format.or_else(|| guess(&answer, &url)).ok_or_else(|| {
                    Stop::fail_clean(
                        "fetch.format_unknown",
                        "The answer is neither JSON nor CSV; give format.",
                    )
                })?;
                match (format, input.pointer) {
                    (Format::Json, pointer) => {
                        read_json(&answer.body, pointer.as_deref().unwrap_or_default())?
                    }
                    (Format::Csv, None) => read_csv(&answer.body)?,
                    (Format::Csv, Some(_)) => return Err(unfit("pointer is for JSON; the answer is CSV.")),
                }
            }
            _ => return Err(unfit("Give either data or url.")),
        };
        let output = Output { count: rows.len(), rows };
        let size_bytes = serde_json::to_vec(&output).map_or(usize::MAX, |json| json.len());
        if size_bytes > MAX_OUTPUT_BYTES {
            return Err(Stop::fail_clean("fetch.too_large", "The rows are more than 1 MiB as JSON."));
        }
        Ok(output)
    }

    async fn plan(&self, _ctx: &Context, input: Input) -> Plan {
        let summary = match (&input.data, &input.url) {
            (Some(rows), _) => format!("Takes {} rows from its input.", rows.len()),
            _ => "Gets rows from another server.".to_owned(),
        };
        Plan::new(summary)
    }
}

fn unfit(detail: &str) -> Stop {
    Stop::fail_clean("task.input_invalid", detail)
}

async fn get(ctx: &Context, url: &str, format: Option<Format>) -> Result<HttpResponse, Stop> {
    let accept = match format {
        Some(Format::Json) => "application/json",
        Some(Format::Csv) => "text/csv",
        None => "application/json, text/csv;q=0.9",
    };
    let request = HttpRequest {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: [("accept".to_owned(), accept.to_owned())].into(),
        body: None,
        timeout: TIMEOUT,
        max_bytes: MAX_ANSWER_BYTES,
    };
    let answer = send(ctx, request).await?;
    match answer.status {
        200..=299 => Ok(answer),
        status if may_pass(status) => {
            let after = retry_after(&answer, flow_domain::clock::now());
            let mut stop = Stop::retry("fetch.unavailable", format!("The server answered {status}."));
            if let Stop::Retry { after: pause, .. } = &mut stop {
                *pause = after;
            }
            Err(stop)
        }
        status => Err(Stop::fail_clean("fetch.refused", format!("The server answered {status}."))),
    }
}

fn guess(answer: &HttpResponse, url: &str) -> Option<Format> {
    match media_type(answer).as_deref() {
        Some(kind) if is_json(kind) => return Some(Format::Json),
        Some("text/csv" | "application/csv") => return Some(Format::Csv),
        _ => {}
    }
    let path = url.split(['?', '#']).next().unwrap_or(url).to_lowercase();
    if path.ends_with(".json") {
        Some(Format::Json)
    } else if path.ends_with(".csv") {
        Some(Format::Csv)
    } else {
        None
    }
}

fn read_json(body: &[u8], pointer: &str) -> Result<Vec<Row>, Stop> {
    // The parser's own message may quote the answer.
    let mut whole: Value = serde_json::from_slice(body).map_err(|error| {
        let at = format!("line {}, column {}", error.line(), error.column());
        Stop::fail_clean("fetch.not_json", format!("The answer is not JSON: {at}."))
    })?;
    let Some(part) = whole.pointer_mut(pointer) else {
        let detail = format!("The answer has nothing at the pointer {pointer:?}.");
        return Err(Stop::fail_clean("fetch.pointer_unknown", detail));
    };
    let not_rows = |what: String| Stop::fail_clean("fetch.not_rows", what);
    let Value::Array(items) = part.take() else {
        let place =
            if pointer.is_empty() { "The answer".to_owned() } else { format!("What is at {pointer:?}") };
        return Err(not_rows(format!("{place} is not an array; pointer says where the rows are.")));
    };
    items
        .into_iter()
        .enumerate()
        .map(|(position, item)| match item {
            Value::Object(row) => Ok(row),
            _ => Err(not_rows(format!("Row {} is not an object.", position + 1))),
        })
        .collect()
}

fn read_csv(body: &[u8]) -> Result<Vec<Row>, Stop> {
    let broken = |detail: String| Stop::fail_clean("fetch.not_csv", detail);
    // Spreadsheets write a byte order mark, which would become part of the first column's name.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(body);
    let at = |error: &csv::Error| error.position().map_or(1, |position| position.line());
    let columns = match reader.headers() {
        Ok(columns) => columns.clone(),
        Err(error) => return Err(broken(format!("Line {} cannot be read.", at(&error)))),
    };
    for (position, column) in columns.iter().enumerate() {
        if column.is_empty() {
            return Err(broken(format!("Column {} has no name.", position + 1)));
        }
        if columns.iter().take(position).any(|earlier| earlier == column) {
            return Err(broken(format!("Two columns are named {column:?}.")));
        }
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| match error.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                broken(format!("Line {} has {len} values for {expected_len} columns.", at(&error)))
            }
            _ => broken(format!("Line {} is not text in UTF-8.", at(&error))),
        })?;
        rows.push(
            columns.iter().zip(&record).map(|(name, value)| (name.to_owned(), Value::from(value))).collect(),
        );
    }
    Ok(rows)
}

#[cfg(test)]
mod tests;
