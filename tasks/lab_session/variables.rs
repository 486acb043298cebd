//! A flow's own variables for Terraform.

use std::collections::BTreeMap;

use flow_domain::flows::Stop;
use flow_domain::ports::TerraformJob;

/// By name. They reach Terraform in its environment alone.
pub type Variables = BTreeMap<String, String>;

/// Adds a flow's variables to a job; the service's own names are not to be had.
pub fn with_variables(mut job: TerraformJob, more: Variables) -> Result<TerraformJob, Stop> {
    for (name, value) in more {
        let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if !first || !letters || value.contains('\0') {
            let detail = format!("{name:?} cannot be a variable of Terraform, or its value holds a NUL.");
            return Err(Stop::fail_clean("terraform.variable_invalid", detail));
        }
        if ["session", "learner", "lab"].contains(&name.as_str()) {
            let detail = format!("The variable {name:?} is given by the service.");
            return Err(Stop::fail_clean("terraform.variable_invalid", detail));
        }
        job.variables.insert(name, value);
    }
    Ok(job)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use flow_domain::SessionId;

    use super::*;

    #[test]
    fn names_that_are_the_services_or_no_names_are_refused() {
        let job = || TerraformJob {
            session: SessionId::new(),
            of: None,
            dir: PathBuf::new(),
            variables: BTreeMap::new(),
            timeout: Duration::ZERO,
            grace: Duration::ZERO,
        };
        let with = |name: &str, value: &str| {
            with_variables(job(), Variables::from([(name.to_owned(), value.to_owned())]))
        };
        assert_eq!(with("api-token", "x").unwrap().variables["api-token"], "x");
        for (name, value) in [("session", "x"), ("", "x"), ("a=b", "x"), ("1a", "x"), ("a", "x\0y")] {
            assert!(with(name, value).is_err(), "{name}");
        }
    }
}
