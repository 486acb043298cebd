//! One lab, called `web`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::labs::{Grading, Lab, LabCatalogue, LabLimits};
use crate::users::Role;

pub struct OneLab(Arc<Lab>);

impl OneLab {
    /// Its folder is made in `dir`, with a file for Terraform, a grader and a check.
    pub fn in_folder(dir: &Path) -> std::io::Result<Self> {
        let folder: PathBuf = dir.join("lab-web");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("main.tf"), "")?;
        std::fs::write(folder.join("grade"), "")?;
        std::fs::create_dir(folder.join("checks"))?;
        std::fs::write(folder.join("checks/1"), "")?;
        let name = || "web".to_owned();
        Ok(Self(Arc::new(Lab {
            name: name(),
            title: name(),
            summary: name(),
            minutes: 1,
            difficulty: Default::default(),
            allow: vec![Role::Learner],
            dir: folder,
            version: "1".to_owned(),
            tutorial: String::new(),
            answers: vec![],
            limits: LabLimits::default(),
            grading: Grading::default(),
            checks: [1].into(),
            variables: Default::default(),
            machines: 0,
            secrets: Default::default(),
            outputs: None,
        })))
    }
}

impl LabCatalogue for OneLab {
    fn lab(&self, name: &str) -> Option<Arc<Lab>> {
        (name == self.0.name).then(|| self.0.clone())
    }

    fn labs(&self) -> Vec<Arc<Lab>> {
        vec![self.0.clone()]
    }
}
