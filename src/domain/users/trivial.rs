//! Passwords that everybody tries first.

/// The commonest of leaked passwords with eight characters or more, one a line, in lower case.
const COMMON: &str = include_str!("trivial.txt");

/// Whether a password is a common one whatever its case, one character again and again, or a run of neighbours.
pub(super) fn is_trivial(password: &str) -> bool {
    let lower = password.to_lowercase();
    COMMON.lines().any(|common| common == lower) || is_a_run(&lower)
}

/// `aaaaaaaa`, `abcdefgh`, `87654321`: each character as far from the one before as the second from the first.
fn is_a_run(text: &str) -> bool {
    let codes: Vec<i64> = text.chars().map(|letter| i64::from(u32::from(letter))).collect();
    let steps: Vec<i64> = codes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    steps.first().is_some_and(|first| first.abs() <= 1 && steps.iter().all(|step| step == first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_lower_case_and_holds_none_that_is_refused_anyway() {
        for line in COMMON.lines() {
            assert!(line.chars().count() >= 8 && line == line.to_lowercase(), "{line:?}");
            assert!(!is_a_run(line), "{line:?}");
        }
        assert!(COMMON.lines().count() > 100);
    }
}
