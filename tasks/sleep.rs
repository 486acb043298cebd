//! `sleep`: waits, for a year if need be, without holding a slot: the wait outlives the process.

use async_trait::async_trait;
use flow_domain::flows::{Context, Plan, Stop, TypedTask};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub struct Sleep;

/// A year of 365 days, in seconds.
const LONGEST_S: f64 = 31_536_000.0;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("anyOf" = [{"required": ["seconds"]}, {"required": ["until"]}]))]
pub struct Input {
    /// How long, in seconds from now: 0 to 31536000 (a year), fractions allowed.
    #[schemars(range(min = 0, max = 31_536_000))]
    seconds: Option<f64>,
    /// Until when, RFC 3339 with an offset. A time that is over ends the wait at once.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    until: Option<Timestamp>,
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// The time that was waited for, RFC 3339 in UTC.
    #[schemars(with = "String", extend("format" = "date-time"))]
    until: Timestamp,
}

impl Input {
    fn end(&self, now: Timestamp) -> Result<Timestamp, Stop> {
        match (self.seconds, self.until) {
            (Some(seconds), None) if (0.0..=LONGEST_S).contains(&seconds) => {
                Ok(now + SignedDuration::from_secs_f64(seconds))
            }
            (Some(_), None) => Err(Stop::fail_clean("sleep.out_of_range", "seconds must be 0 to 31536000.")),
            (None, Some(until)) => Ok(until),
            _ => Err(Stop::fail_clean("task.input_invalid", "Give either seconds or until.")),
        }
    }
}

#[async_trait]
impl TypedTask for Sleep {
    const NAME: &'static str = "sleep";
    const DESCRIPTION: &'static str =
        "Waits a number of seconds or until a time; the wait survives a restart.";
    type Input = Input;
    type Output = Output;

    async fn run(&self, ctx: &Context, input: Input) -> Result<Output, Stop> {
        if let Some(until) = ctx.waited_until {
            return Ok(Output { until });
        }
        let now = flow_domain::clock::now();
        let until = input.end(now)?;
        if until <= now { Ok(Output { until }) } else { Err(Stop::WaitUntil(until)) }
    }

    async fn plan(&self, _ctx: &Context, input: Input) -> Plan {
        let summary = match (input.seconds, input.until) {
            (Some(seconds), _) => format!("Waits {seconds} seconds."),
            (_, Some(until)) => format!("Waits until {until}."),
            _ => Self::DESCRIPTION.to_owned(),
        };
        Plan::new(summary)
    }
}

#[cfg(test)]
mod tests {
    use flow_domain::flows::{Outcome, Task};
    use flow_domain::testing::TestContext;
    use serde_json::{Value, json};

    use super::*;

    async fn sleep(input: Value) -> Outcome {
        Task::run(&Sleep, &TestContext::new().context(), input).await
    }

    #[tokio::test]
    async fn seconds_and_fractions_of_them_count_from_now() {
        for seconds in [0.25, 90.0, LONGEST_S] {
            let before = Timestamp::now();
            let Outcome::WaitUntil(until) = sleep(json!({"seconds": seconds})).await else {
                panic!("no wait")
            };
            let waits = SignedDuration::from_secs_f64(seconds);
            assert!(before + waits <= until && until <= Timestamp::now() + waits, "{seconds}");
        }
    }

    #[tokio::test]
    async fn a_time_is_waited_for_and_one_that_is_over_is_not() {
        let outcome = sleep(json!({"until": "2199-01-01T01:00:00+01:00"})).await;
        assert_eq!(outcome, Outcome::WaitUntil("2199-01-01T00:00:00Z".parse().expect("a time")));
        let over = json!({"until": "2001-01-01T00:00:00Z"});
        assert_eq!(sleep(over.clone()).await, Outcome::Done(over));
        assert!(matches!(sleep(json!({"seconds": 0})).await, Outcome::Done(_)));
    }

    #[tokio::test]
    async fn after_the_wait_it_is_done() {
        let time: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
        let ctx = TestContext::new().with_waited_until(time).context();
        let outcome = Task::run(&Sleep, &ctx, json!({"seconds": 3600})).await;
        assert_eq!(outcome, Outcome::Done(json!({"until": "2026-01-01T00:00:00Z"})));
    }

    #[tokio::test]
    async fn too_long_negative_both_neither_and_no_offset_are_refused() {
        for input in [
            json!({"seconds": LONGEST_S + 1.0}),
            json!({"seconds": -1}),
            json!({"seconds": 1, "until": "2199-01-01T00:00:00Z"}),
            json!({}),
            json!({"until": "2199-01-01T00:00:00"}),
        ] {
            assert!(matches!(sleep(input.clone()).await, Outcome::FailClean(_)), "{input}");
        }
    }
}
