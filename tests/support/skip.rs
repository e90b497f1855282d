//! Tests that need something that a machine may lack.

/// Says that a test is left out because this machine lacks something, where
/// `ARMATURE_TESTS_MAY_SKIP` is 1. Otherwise the test fails: one that is left out in silence proves
/// nothing.
#[expect(clippy::disallowed_methods, reason = "how a person allows tests to be left out")]
pub(crate) fn may_skip(lacking: &str) {
    let is_allowed = std::env::var("ARMATURE_TESTS_MAY_SKIP").is_ok_and(|value| value == "1");
    assert!(
        is_allowed,
        "{lacking}; ARMATURE_TESTS_MAY_SKIP=1 leaves out the tests that a machine cannot run"
    );
    eprintln!("left out: {lacking}");
}
