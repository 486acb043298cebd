//! Which users graders may run as.

use std::fs;
use std::ops::RangeInclusive;

/// How many graders may run at once where none has a user of its own.
const PLACES: u32 = 64;

/// The users of graders: reserved numbers that no account of the machine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accounts {
    /// Each grader has the first one that is free.
    Own(RangeInclusive<u32>),
    /// The service's own: a grader can then reach what the service can.
    Service,
}

impl Accounts {
    /// What of the wish this process can fulfil, with the reason when it is nothing.
    pub fn usable(wished: Option<RangeInclusive<u32>>) -> (Self, Option<&'static str>) {
        let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        Self::among(wished, rustix::process::geteuid().is_root(), &map)
    }

    fn among(wished: Option<RangeInclusive<u32>>, root: bool, map: &str) -> (Self, Option<&'static str>) {
        let Some(range) = wished else { return (Self::Service, Some("grade.uids is empty")) };
        if !root {
            return (Self::Service, Some("this service is not root"));
        }
        if !maps(map, &range) {
            return (Self::Service, Some("this user namespace does not have the users of grade.uids"));
        }
        (Self::Own(range), None)
    }

    /// The numbers of the places, and whether each is a user's.
    pub(super) fn places(&self) -> (RangeInclusive<u32>, bool) {
        match self {
            Self::Own(range) => (range.clone(), true),
            Self::Service => (1..=PLACES, false),
        }
    }
}

/// Whether one line of a `/proc/PID/uid_map` (first user inside, first outside, count) holds all of them.
fn maps(map: &str, range: &RangeInclusive<u32>) -> bool {
    map.lines().any(|line| {
        let fields: Vec<u64> = line.split_whitespace().filter_map(|field| field.parse().ok()).collect();
        match fields[..] {
            [inside, _, count] => {
                inside <= u64::from(*range.start()) && u64::from(*range.end()) < inside + count
            }
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "         0          0 4294967295\n";

    #[test]
    fn users_are_taken_only_by_root_and_where_they_exist() {
        let wish = || Some(60610..=60673);
        assert_eq!(Accounts::among(wish(), true, ALL), (Accounts::Own(60610..=60673), None));
        assert_eq!(Accounts::among(wish(), false, ALL).0, Accounts::Service);
        assert_eq!(Accounts::among(None, true, ALL).0, Accounts::Service);
        for map in ["0 100000 60000\n", "0 1000 1\n1 100000 60650\n", ""] {
            let (accounts, why) = Accounts::among(wish(), true, map);
            assert_eq!((accounts, why.is_some()), (Accounts::Service, true), "{map}");
        }
        assert_eq!(Accounts::among(wish(), true, "0 1000 1\n1 100000 65536\n").1, None);
    }
}
