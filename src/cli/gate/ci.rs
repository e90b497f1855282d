//! The CI system that a gate runs in, by its environment.

use std::path::PathBuf;

use uuid::Uuid;

use crate::gate::command_data;

/// What a gate takes from the CI system.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ci {
    /// Identifies the step of the CI run: the same for a repetition within the step only.
    pub(super) identity: String,
    /// The `reason` of dispatches.
    pub(super) reason: String,
    /// Whether GitHub Actions reads the output.
    pub(super) is_github: bool,
    /// The file of the step summary, if there is one.
    pub(super) step_summary: Option<PathBuf>,
    /// The file of the step's outputs, if there is one.
    pub(super) outputs: Option<PathBuf>,
}

impl Ci {
    /// Reads the environment. A key that was given is the identity.
    pub(super) fn detect(key: Option<&str>) -> Self {
        #[expect(clippy::disallowed_methods, reason = "how a CI system says what runs")]
        let read = |name: &str| std::env::var(name).ok();
        Self::from_environment(read, key)
    }

    fn from_environment(read: impl Fn(&str) -> Option<String>, key: Option<&str>) -> Self {
        let read = |name: &str| read(name).filter(|value| !value.is_empty());
        let all = |names: &[&str]| {
            let values = names.iter().map(|name| read(name).unwrap_or_default());
            values.collect::<Vec<_>>().join("\n")
        };
        let is_github = read("GITHUB_ACTIONS").as_deref() == Some("true");
        let (identity, reason) = if let (true, Some(run)) = (is_github, read("GITHUB_RUN_ID")) {
            // GITHUB_ACTION is the step. The jobs of a matrix have the same name, but never the
            // same runner at the same time.
            let names = [
                "GITHUB_SERVER_URL",
                "GITHUB_REPOSITORY",
                "GITHUB_RUN_ID",
                "GITHUB_RUN_ATTEMPT",
                "GITHUB_JOB",
                "GITHUB_ACTION",
                "RUNNER_NAME",
                "RUNNER_TRACKING_ID",
            ];
            let attempt = read("GITHUB_RUN_ATTEMPT").unwrap_or_else(|| "1".to_owned());
            (all(&names), format!("GitHub Actions run {run}, attempt {attempt}"))
        } else if let Some(job) = read("CI_JOB_ID") {
            let names = ["CI_SERVER_URL", "CI_PIPELINE_ID", "CI_JOB_ID"];
            (all(&names), format!("GitLab CI job {job}"))
        } else {
            (Uuid::new_v4().to_string(), "started by hand or by another CI system".to_owned())
        };
        Self {
            identity: key.map_or(identity, str::to_owned),
            reason: format!("armature-export gate: {reason}"),
            is_github,
            step_summary: read("GITHUB_STEP_SUMMARY").map(PathBuf::from),
            outputs: read("GITHUB_OUTPUT").map(PathBuf::from),
        }
    }
}

/// The workflow command that shows an error of the gate itself.
pub(super) fn error_annotation(text: &str) -> String {
    format!("::error title=Armature gate::{}", command_data(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ci(environment: &[(&str, &str)], key: Option<&str>) -> Ci {
        let read = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Ci::from_environment(read, key)
    }

    const GITHUB: [(&str, &str); 7] = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_RUN_ID", "7"),
        ("GITHUB_RUN_ATTEMPT", "2"),
        ("GITHUB_JOB", "deploy"),
        ("GITHUB_ACTION", "__run_3"),
        ("GITHUB_STEP_SUMMARY", "/tmp/summary"),
        ("GITHUB_OUTPUT", ""),
    ];

    #[test]
    fn a_step_of_github_actions_has_one_identity() {
        let found = ci(&GITHUB, None);
        assert_eq!(found, ci(&GITHUB, None));
        assert!(found.is_github);
        assert_eq!(found.reason, "armature-export gate: GitHub Actions run 7, attempt 2");
        assert_eq!(found.step_summary, Some(PathBuf::from("/tmp/summary")));
        assert_eq!(found.outputs, None);
        for changed in 1..5 {
            let mut other = GITHUB;
            other[changed].1 = "other";
            assert_ne!(ci(&other, None).identity, found.identity, "{:?}", GITHUB[changed]);
        }
    }

    #[test]
    fn a_job_of_gitlab_has_one_identity() {
        let job = |id| ci(&[("CI_PIPELINE_ID", "1"), ("CI_JOB_ID", id)], None);
        assert_eq!(job("5"), job("5"));
        assert_ne!(job("5").identity, job("6").identity);
        assert_eq!(job("5").reason, "armature-export gate: GitLab CI job 5");
        assert!(!job("5").is_github);
    }

    #[test]
    fn elsewhere_no_two_gates_are_the_same_unless_a_key_says_so() {
        assert_ne!(ci(&[], None).identity, ci(&[], None).identity);
        assert_eq!(ci(&[], Some("k")).identity, "k");
        assert_eq!(ci(&GITHUB, Some("k")).identity, "k");
    }
}
