//! What the use of a refresh token means.

use std::time::Duration;

use jiff::Timestamp;

/// Two tabs that wake up together both send the token they share: not theft.
const GRACE: Duration = Duration::from_secs(10);

/// A login as its store keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FamilyState {
    /// Tokens are numbered from 0; this is the number of the newest. Two tabs may hold one each of the same number.
    pub newest: i64,
    /// When the newest number was first given.
    pub newest_at: Timestamp,
    pub expires_at: Timestamp,
    pub ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The first use of the newest: give the next number.
    Next(i64),
    /// The second of two uses at about the same time: give another token of the newest number.
    Again(i64),
    /// An old one: end the family.
    Reused,
    /// Over already.
    Refused,
}

/// Judges the use of the token with this number.
pub fn judge(number: i64, family: &FamilyState, at: Timestamp) -> Verdict {
    if family.ended || at >= family.expires_at {
        return Verdict::Refused;
    }
    if number == family.newest {
        return Verdict::Next(number + 1);
    }
    let age = at.duration_since(family.newest_at);
    if number + 1 == family.newest && age.unsigned_abs() <= GRACE {
        return Verdict::Again(family.newest);
    }
    Verdict::Reused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn family() -> FamilyState {
        FamilyState { newest: 5, newest_at: at(0), expires_at: at(1000), ended: false }
    }

    #[test]
    fn the_newest_gives_the_next_whenever_it_comes() {
        assert_eq!(judge(5, &family(), at(0)), Verdict::Next(6));
        assert_eq!(judge(5, &family(), at(999)), Verdict::Next(6));
    }

    #[test]
    fn the_one_before_is_a_second_tab_for_ten_seconds_and_a_thief_after() {
        assert_eq!(judge(4, &family(), at(0)), Verdict::Again(5));
        assert_eq!(judge(4, &family(), at(10)), Verdict::Again(5));
        assert_eq!(judge(4, &family(), at(11)), Verdict::Reused);
    }

    #[test]
    fn an_older_one_is_a_thief_at_once() {
        assert_eq!(judge(3, &family(), at(0)), Verdict::Reused);
        assert_eq!(judge(0, &family(), at(0)), Verdict::Reused);
    }

    #[test]
    fn a_family_that_is_over_refuses_all_alike() {
        let ended = FamilyState { ended: true, ..family() };
        for number in [3, 4, 5] {
            assert_eq!(judge(number, &ended, at(0)), Verdict::Refused);
            assert_eq!(judge(number, &family(), at(1000)), Verdict::Refused);
        }
    }
}
