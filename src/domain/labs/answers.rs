//! What a lab asks its learners for, and whether what they hand in is that.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{Error, Fault, Result};

const CODE: &str = "answers.invalid";

/// `[[answers]]` of a `lab.toml`: one thing that learners hand in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskedAnswer {
    /// By which it is handed in, and by which the grader finds it.
    #[schemars(regex(pattern = r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$"))]
    pub name: String,
    /// For learners.
    #[schemars(length(min = 1, max = 100))]
    pub title: String,
    /// A regular expression (ECMA 262) for the whole of it.
    #[serde(default)]
    #[schemars(length(min = 1, max = 500))]
    pub pattern: Option<String>,
    /// It is one of these.
    #[serde(default)]
    #[schemars(length(min = 1, max = 50), inner(length(min = 1, max = 200)))]
    pub choices: Option<Vec<String>>,
    /// What one may look like.
    #[serde(default)]
    #[schemars(length(min = 1, max = 100))]
    pub placeholder: Option<String>,
    /// It may be left out.
    #[serde(default)]
    pub optional: bool,
}

impl AskedAnswer {
    /// Why this text will not do, in words for its learner.
    fn fault(&self, text: &str) -> Option<String> {
        if let Some(choices) = self.choices.as_ref().filter(|choices| !choices.iter().any(|one| one == text))
        {
            return Some(format!("It is one of these: {}.", choices.join(", ")));
        }
        let pattern = self.pattern.as_ref().filter(|pattern| !matches(pattern, text).unwrap_or(true))?;
        Some(match &self.placeholder {
            Some(like) => format!("It should be written like this: {like}"),
            None => format!("It should fit the pattern {pattern}"),
        })
    }
}

/// What is wrong with a lab's list: the place in it, the key, and why.
pub fn faults_of_list(asked: &[AskedAnswer]) -> Vec<(usize, &'static str, String)> {
    let mut faults = Vec::new();
    for (at, answer) in asked.iter().enumerate() {
        if asked[..at].iter().any(|earlier| earlier.name == answer.name) {
            faults.push((at, "name", format!("two answers are named {:?}", answer.name)));
        }
        // By itself: `a)|(b` is one only between brackets.
        let is_pattern = |pattern: &String| jsonschema::validator_for(&json!({"pattern": pattern})).is_ok();
        if answer.pattern.as_ref().is_some_and(|pattern| !is_pattern(pattern)) {
            faults.push((at, "pattern", "is no regular expression".to_owned()));
            continue;
        }
        let unfit = |text: &&String| answer.fault(text).is_some();
        for choice in answer.choices.iter().flatten().filter(unfit) {
            faults.push((at, "choices", format!("{choice:?} does not fit the pattern")));
        }
    }
    faults
}

/// None: this is no regular expression.
fn matches(pattern: &str, text: &str) -> Option<bool> {
    let whole = json!({"pattern": format!("^(?:{pattern})$")});
    jsonschema::validator_for(&whole).ok().map(|validator| validator.is_valid(&json!(text)))
}

/// Refuses what is handed in if a lab says what it asks for and this is not it: each fault at its field.
pub fn check_answers(asked: &[AskedAnswer], given: Option<&Value>) -> Result<()> {
    if asked.is_empty() {
        return Ok(());
    }
    let nothing = Map::new();
    let given = given.and_then(Value::as_object).unwrap_or(&nothing);
    let missing = |answer: &AskedAnswer| (!answer.optional).then(|| "This answer is missing.".to_owned());
    let fault = |answer: &AskedAnswer| match given.get(&answer.name) {
        None | Some(Value::Null) => missing(answer),
        Some(Value::String(text)) if text.is_empty() => missing(answer),
        Some(Value::String(text)) => answer.fault(text),
        Some(Value::Number(number)) => answer.fault(&number.to_string()),
        Some(_) => Some("An answer is a text or a number.".to_owned()),
    };
    let at = |name: &str, detail| {
        let name = name.replace('~', "~0").replace('/', "~1");
        Fault::new(format!("/answers/{name}"), CODE, detail)
    };
    let mut faults: Vec<Fault> =
        asked.iter().filter_map(|answer| fault(answer).map(|detail| at(&answer.name, detail))).collect();
    let names: Vec<&str> = asked.iter().map(|answer| answer.name.as_str()).collect();
    let unknown = format!("The lab asks for no such answer; it asks for {}.", names.join(", "));
    let others = given.keys().filter(|name| !names.contains(&name.as_str()));
    faults.extend(others.map(|name| at(name, unknown.clone())));
    match faults.is_empty() {
        true => Ok(()),
        false => Err(Error::invalid(CODE, "This is not what the lab asks for.", faults)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: &str) -> AskedAnswer {
        let name = name.to_owned();
        AskedAnswer {
            title: name.clone(),
            name,
            pattern: None,
            choices: None,
            placeholder: None,
            optional: false,
        }
    }

    /// Pointers and words of the faults.
    fn told(asked: &[AskedAnswer], given: Value) -> Vec<(String, String)> {
        match check_answers(asked, Some(&given)) {
            Ok(()) => vec![],
            Err(error) => error.faults.into_iter().map(|fault| (fault.pointer, fault.detail)).collect(),
        }
    }

    #[test]
    fn a_lab_that_asks_for_nothing_takes_anything() {
        assert_eq!(told(&[], json!({"what": {"ever": 1}})), []);
        assert!(check_answers(&[], None).is_ok());
    }

    #[test]
    fn each_fault_is_told_at_its_answer() {
        let word = AskedAnswer { pattern: Some("[0-9a-f]{4}|x".into()), ..asked("word") };
        let door = AskedAnswer { choices: Some(vec!["open".into(), "shut".into()]), ..asked("door") };
        let list = [word, door, AskedAnswer { optional: true, ..asked("note") }];
        assert_eq!(told(&list, json!({"word": "00ff", "door": "open", "note": "n"})), []);
        assert_eq!(told(&list, json!({"word": "x", "door": "shut", "note": ""})), []);
        let faults = told(&list, json!({"word": "00ffx", "door": "ajar", "no/te": 1}));
        let pointers: Vec<_> = faults.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(pointers, ["/answers/word", "/answers/door", "/answers/no~1te"]);
        assert!(faults[1].1.contains("open, shut") && faults[2].1.contains("word, door, note"), "{faults:?}");
        for missing in [
            json!({"door": "open"}),
            json!({"door": "open", "word": ""}),
            json!({"door": "open", "word": null}),
        ] {
            assert_eq!(
                told(&list, missing),
                [("/answers/word".to_owned(), "This answer is missing.".to_owned())]
            );
        }
        assert_eq!(told(&list, json!({"word": ["00ff"], "door": "open"})).len(), 1);
        assert_eq!(check_answers(&list, None).unwrap_err().faults.len(), 2);
    }

    #[test]
    fn a_number_is_as_good_as_its_digits() {
        let list = [AskedAnswer { pattern: Some("[0-9]+".into()), ..asked("number") }];
        assert_eq!(told(&list, json!({"number": 42})), []);
        assert_eq!(told(&list, json!({"number": -1})).len(), 1);
    }

    #[test]
    fn what_is_wrong_with_the_list_itself_is_told() {
        let bad = AskedAnswer { pattern: Some("a)|(b".into()), ..asked("one") };
        let unfit =
            AskedAnswer { pattern: Some("[a-z]".into()), choices: Some(vec!["B".into()]), ..asked("two") };
        let faults = faults_of_list(&[bad, unfit, asked("one")]);
        let keys: Vec<_> = faults.iter().map(|(at, key, _)| (*at, *key)).collect();
        assert_eq!(keys, [(0, "pattern"), (1, "choices"), (2, "name")], "{faults:?}");
    }
}
