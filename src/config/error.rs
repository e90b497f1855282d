//! Why a configuration cannot be used.

use std::path::PathBuf;

use crate::tables::MappingError;

/// The version of the configuration format that this program reads. Within a version, options are
/// only added, so that an older file keeps its meaning.
pub const CONFIG_VERSION: u64 = 1;

/// Where and why a configuration file is invalid. Addresses are reduced to their host, because
/// webhook URLs contain secrets.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(String);

impl ParseError {
    pub(super) fn new(error: &toml::de::Error) -> Self {
        let (lines, mut is_masked) = (error.to_string(), false);
        let lines = lines.lines().map(|line| match line.split_once('=') {
            // The value may be an address, whether it is well-formed or not, or a secret that
            // belongs into a file.
            Some((name, _)) if may_be_secret(name) => {
                is_masked = true;
                format!("{name}= …")
            }
            // The line after it can quote the value.
            _ if is_masked => without_paths(line.split(": \"").next().unwrap_or_default()),
            _ => without_paths(line),
        });
        Self(lines.collect::<Vec<_>>().join("\n"))
    }
}

fn may_be_secret(name: &str) -> bool {
    ["url", "uri", "endpoint", "token", "secret", "credential"]
        .iter()
        .any(|word| name.contains(word))
}

/// Reduces the addresses in a text to their host.
fn without_paths(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`');
        let end = after.find(ends).unwrap_or(after.len());
        let (address, others) = after.split_at_checked(end).unwrap_or((after, ""));
        let host = address.rsplit('@').next().unwrap_or_default();
        let host = host.split(['/', '?', '#']).next().unwrap_or_default();
        out.push_str(before);
        out.push_str("://");
        out.push_str(host);
        if host.len() < address.len() {
            out.push_str("/…");
        }
        rest = others;
    }
    out.push_str(rest);
    out
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("failed to read the configuration `{}`", path.display())]
    Unreadable {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The file is not valid TOML, or has an unknown option or an invalid value.
    #[error("failed to understand the configuration `{}`", path.display())]
    Invalid {
        /// The path of the file.
        path: PathBuf,
        /// Where and why it is invalid.
        source: ParseError,
    },
    /// The file was written for a newer version of this program.
    #[error(
        "the configuration `{}` has config_version = {found}; this version knows {CONFIG_VERSION}",
        path.display()
    )]
    Newer {
        /// The path of the file.
        path: PathBuf,
        /// The version that it states.
        found: u64,
    },
    /// A file that should hold a URL cannot be read.
    #[error("failed to read `{option}` from `{}`", path.display())]
    Hook {
        /// The option, without the suffix `_file`.
        option: &'static str,
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A file that should hold a secret cannot be read.
    #[error("configuration: the file of `{option}`, `{}`, cannot be read", path.display())]
    Secret {
        /// The option.
        option: &'static str,
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The value of an option is not allowed.
    #[error("configuration: `{option}` {problem}")]
    Value {
        /// The option, such as `api.concurrency`.
        option: &'static str,
        /// What is wrong, and which values are allowed.
        problem: String,
    },
    /// A `[[columns]]` or `[[lists]]` entry that cannot be used.
    #[error("configuration: a `[[columns]]` or `[[lists]]` entry cannot be used")]
    Mapping(#[from] MappingError),
}
