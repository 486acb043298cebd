//! W3C Trace Context (level 1, section 3.2): who asked for this, as a caller's tracing names it.
//!
//! A request's `traceparent` is kept with the runs it starts; a step's child processes get one of the same trace, with
//! the step as their parent.

use std::fmt;

use sha2::{Digest, Sha256};

/// `00-TRACE-PARENT-FLAGS`, in small hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace: String,
    parent: String,
    flags: String,
}

tokio::task_local! {
    static CURRENT: Option<TraceParent>;
}

impl TraceParent {
    /// None when it is malformed: by the standard, it is then as if none was sent.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        // Later versions may say more, after what this one says.
        let well = version != "ff" && (version != "00" || parts.next().is_none());
        let fits = [(version, 2), (trace, 32), (parent, 16), (flags, 2)].iter().all(|(part, length)| {
            part.len() == *length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        });
        let named = |id: &str| id.bytes().any(|byte| byte != b'0');
        (well && fits && named(trace) && named(parent)).then(|| Self {
            trace: trace.to_owned(),
            parent: parent.to_owned(),
            // This version knows one flag: the caller may record it.
            flags: if version == "00" { flags.to_owned() } else { "00".to_owned() },
        })
    }

    /// Of the same trace, with a parent that is the same whenever `what` is.
    pub fn child(&self, what: &str) -> Self {
        let digest = Sha256::digest(what.as_bytes());
        Self { parent: crate::hex(&digest[..8]), ..self.clone() }
    }

    /// 32 hexadecimal digits.
    pub fn trace(&self) -> &str {
        &self.trace
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{}", self.trace, self.parent, self.flags)
    }
}

/// What is done now is done for this one.
pub async fn under<F: Future>(trace: Option<TraceParent>, work: F) -> F::Output {
    CURRENT.scope(trace, work).await
}

/// For whom the current task works.
pub fn current() -> Option<TraceParent> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_well_formed_comes_back_as_it_was() {
        assert_eq!(TraceParent::parse(GOOD).unwrap().to_string(), GOOD);
        let later = GOOD.replacen("00", "01", 1) + "-more";
        let taken = TraceParent::parse(&later).unwrap().to_string();
        assert_eq!(taken, GOOD.trim_end_matches("01").to_owned() + "00");
    }

    #[test]
    fn what_is_not_is_nothing() {
        let zero_trace = GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32));
        let zero_parent = GOOD.replace("00f067aa0ba902b7", &"0".repeat(16));
        let more = format!("{GOOD}-more");
        let upper = GOOD.to_uppercase();
        let forbidden = GOOD.replacen("00", "ff", 1);
        for bad in ["", "00", "é", &zero_trace, &zero_parent, &more, &upper, &forbidden, &GOOD[1..]] {
            assert_eq!(TraceParent::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_child_is_of_the_same_trace_and_the_same_each_time() {
        let parent = TraceParent::parse(GOOD).unwrap();
        let child = parent.child("run/step/1");
        assert_eq!(child.trace(), parent.trace());
        assert_eq!(child, parent.child("run/step/1"));
        assert_ne!(child, parent.child("run/step/2"));
        assert_eq!(TraceParent::parse(&child.to_string()), Some(child));
    }

    #[tokio::test]
    async fn it_is_known_inside_alone() {
        let trace = TraceParent::parse(GOOD);
        assert_eq!(under(trace.clone(), async { current() }).await, trace);
        assert_eq!(current(), None);
    }
}
