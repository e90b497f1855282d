//! The API key: read in one place, and never printed.

use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

/// The API key. Its `Debug` form is `amt_***`.
#[derive(Clone)]
pub struct ApiKey(SecretString);

/// Why there is no usable key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Neither the environment nor a file holds a key.
    #[error("no API key was given")]
    Missing,
    /// The file cannot be read.
    #[error("failed to read the API key from `{}`", path.display())]
    Unreadable {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The key cannot be sent in a header.
    #[error(
        "the API key {origin} has characters that no key has (white space, control characters)"
    )]
    Unusable {
        /// The source of the key.
        origin: String,
    },
}

impl ApiKey {
    /// Takes the key from the value of the environment variable, otherwise from the file.
    ///
    /// # Errors
    /// [`KeyError`] if there is none, or it cannot be sent in a header.
    pub fn find(environment: Option<String>, file: Option<&Path>) -> Result<Self, KeyError> {
        // Copies of the key are wiped from memory when they are no longer needed.
        let environment = environment.map(Zeroizing::new);
        if let Some(text) = environment.filter(|text| !text.trim().is_empty()) {
            return Self::new(&text, "in `ARMATURE_API_KEY`");
        }
        let Some(path) = file else { return Err(KeyError::Missing) };
        let text = std::fs::read_to_string(path).map(Zeroizing::new);
        let text = text.map_err(|source| KeyError::Unreadable { path: path.to_owned(), source })?;
        if text.trim().is_empty() {
            return Err(KeyError::Missing);
        }
        Self::new(&text, &format!("in `{}`", path.display()))
    }

    /// Creates a key from a text; `origin` is its source, for messages.
    ///
    /// # Errors
    /// [`KeyError::Unusable`] if it cannot be sent in a header.
    pub fn new(text: &str, origin: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.chars().all(|c| c.is_ascii_graphic()) {
            Ok(Self(SecretString::from(text)))
        } else {
            Err(KeyError::Unusable { origin: origin.to_owned() })
        }
    }

    /// Whether it starts like Armature's keys (documented: `amt_<key-id>_<secret>`).
    pub fn looks_right(&self) -> bool {
        self.0.expose_secret().starts_with("amt_")
    }

    /// The value of the `Authorization` header. For the client only.
    pub fn authorization(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("Bearer {}", self.0.expose_secret()))
    }

    /// Masks this key, and everything that looks like a key, in a text.
    pub fn mask(&self, text: &str) -> String {
        mask_keys(&text.replace(self.0.expose_secret(), "amt_***"))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("amt_***")
    }
}

/// Prefixes of Armature's tokens, from its public code.
const PREFIXES: &[&str] = &["amt_", "ami_", "ait_", "arv_"];

/// Masks everything in a text that looks like one of Armature's tokens: a word that starts with one
/// of the prefixes.
pub fn mask_keys(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '*');
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive(|c| !is_word(c)) {
        let end = word.find(|c| !is_word(c)).unwrap_or(word.len());
        let (token, rest) = word.split_at_checked(end).unwrap_or((word, ""));
        let prefix = PREFIXES.iter().find(|prefix| token.starts_with(**prefix));
        match prefix {
            Some(prefix) if token.len() > prefix.len() => {
                out.push_str(prefix);
                out.push_str("***");
                out.push_str(rest);
            }
            _ => out.push_str(word),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_never_show() {
        let key = ApiKey::new("amt_abc_s3cret\n", "here").unwrap();
        assert_eq!(format!("{key:?}"), "amt_***");
        assert_eq!(*key.authorization(), "Bearer amt_abc_s3cret");
        assert_eq!(key.mask("key amt_abc_s3cret, ait_us_1-2!"), "key amt_***, ait_***!");
        let odd = ApiKey::new("plainsecret", "here").unwrap();
        assert_eq!(odd.mask("invalid plainsecret."), "invalid amt_***.");
        assert_eq!(mask_keys("nothing here"), "nothing here");
        assert_eq!(mask_keys("max_rate_limit_wait_secs"), "max_rate_limit_wait_secs");
        assert_eq!(mask_keys("amt_<key-id>_<secret>"), "amt_<key-id>_<secret>");
        assert_eq!(mask_keys("/data/amt_lake x"), "/data/amt_*** x");
    }

    #[test]
    fn unusable_keys_are_told_apart() {
        assert!(matches!(ApiKey::find(None, None), Err(KeyError::Missing)));
        assert!(matches!(ApiKey::find(Some("  ".into()), None), Err(KeyError::Missing)));
        let broken = ApiKey::find(Some("amt_a b".into()), None).unwrap_err();
        assert!(broken.to_string().contains("ARMATURE_API_KEY"));
        assert!(!broken.to_string().contains("amt_a"));
    }
}
