//! `prepare_directories`: a new user's directory for each lab, made beforehand.

use async_trait::async_trait;
use flow_domain::UserId;
use flow_domain::flows::{Context, Plan, Stop, TypedTask};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub struct PrepareDirectories;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Whose directories.
    user: UserId,
}

#[derive(Serialize, JsonSchema)]
pub struct Output {
    /// The labs that have a directory of this user now.
    labs: Vec<String>,
    /// How many of those were made by this step.
    made: usize,
}

#[async_trait]
impl TypedTask for PrepareDirectories {
    const NAME: &'static str = "prepare_directories";
    const DESCRIPTION: &'static str = "Makes a user's directory for every lab there is, where it is missing.";
    const PINS_HOST: bool = true;
    type Input = Input;
    type Output = Output;

    async fn run(&self, ctx: &Context, input: Input) -> Result<Output, Stop> {
        let mut labs: Vec<String> = ctx.ports.labs.labs().iter().map(|lab| lab.name.clone()).collect();
        labs.sort();
        let mut made = 0;
        for lab in &labs {
            let (_, now) = ctx.ports.workspaces.create(input.user, lab).await?;
            made += usize::from(now);
        }
        Ok(Output { labs, made })
    }

    async fn plan(&self, _ctx: &Context, input: Input) -> Plan {
        Plan::new(format!("Makes the directories of user {} that are missing.", input.user))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use flow_domain::flows::{Outcome, Task};
    use flow_domain::labs::{Lab, LabCatalogue};
    use flow_domain::testing::TestContext;
    use serde_json::json;

    use super::*;

    struct Two;

    impl LabCatalogue for Two {
        fn lab(&self, _: &str) -> Option<Arc<Lab>> {
            None
        }
        fn labs(&self) -> Vec<Arc<Lab>> {
            ["web", "db"].map(lab).into()
        }
    }

    fn lab(name: &str) -> Arc<Lab> {
        Arc::new(Lab {
            name: name.into(),
            title: name.into(),
            summary: String::new(),
            minutes: 5,
            dir: PathBuf::new(),
            version: "1".into(),
            difficulty: Default::default(),
            allow: Default::default(),
            tutorial: Default::default(),
            checks: Default::default(),
            answers: vec![],
            limits: Default::default(),
            variables: Default::default(),
            secrets: Default::default(),
            machines: 0,
            outputs: Default::default(),
            grading: Default::default(),
        })
    }

    #[tokio::test]
    async fn every_lab_gets_its_directory_once() {
        let mut test = TestContext::new();
        test.ports.labs = Arc::new(Two);
        let user = UserId::new();
        for made in [2, 0] {
            let outcome = Task::run(&PrepareDirectories, &test.context(), json!({"user": user})).await;
            assert_eq!(outcome, Outcome::Done(json!({"labs": ["db", "web"], "made": made})));
        }
        for lab in ["web", "db"] {
            let found = test.ports.workspaces.find(user, lab).await.expect("the root can be read");
            assert!(found.is_some());
        }
    }
}
