//! SHA-256, as text and as a short number.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

/// The SHA-256 of some bytes in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// The SHA-256 of a whole file, read piece by piece, in lower-case hexadecimal.
///
/// # Errors
/// The I/O error of the file.
pub fn sha256_of_file(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hexadecimal(&hasher.finalize())),
            length => hasher.update(buffer.get(..length).unwrap_or_default()),
        }
    }
}

/// A writer that passes on what is written, and counts and hashes it.
#[derive(Debug)]
pub struct HashingWriter<To> {
    to: To,
    bytes: u64,
    hasher: Sha256,
}

impl<To> HashingWriter<To> {
    /// Wraps a writer.
    pub fn new(to: To) -> Self {
        Self { to, bytes: 0, hasher: Sha256::new() }
    }

    /// The inner writer, the number of bytes written, and their SHA-256 in lower-case hexadecimal.
    pub fn finish(self) -> (To, u64, String) {
        (self.to, self.bytes, hexadecimal(&self.hasher.finalize()))
    }
}

impl<To: Write> Write for HashingWriter<To> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        self.bytes += u64::try_from(written).unwrap_or(0);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

/// Bytes in lower-case hexadecimal.
pub fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from(DIGITS.get(usize::from(digit)).copied().unwrap_or(b'0')));
        }
    }
    text
}

/// The first 128 bits of the SHA-256 of an id: used instead of the id where very many are kept.
pub fn id_key(id: &str) -> u128 {
    let digest = Sha256::digest(id.as_bytes());
    digest.iter().take(16).fold(0, |number, &byte| (number << 8) | u128::from(byte))
}

/// The first 64 bits of the SHA-256 of some parts, to detect whether something changed. The length
/// of each part is hashed, too: otherwise bytes could move between parts unnoticed.
pub fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(part);
    }
    let digest = hasher.finalize();
    digest.iter().take(8).fold(0, |number, &byte| (number << 8) | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_digest() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_hex(b"abc"), expected);
    }

    #[test]
    fn what_passes_is_digested() {
        let mut digesting = HashingWriter::new(Vec::new());
        digesting.write_all(b"a").unwrap();
        digesting.write_all(b"bc").unwrap();
        assert_eq!(digesting.finish(), (b"abc".to_vec(), 3, sha256_hex(b"abc")));
    }

    #[test]
    fn a_fingerprint_tells_parts_apart() {
        assert_ne!(fingerprint([b"ab".as_slice(), b"c"]), fingerprint([b"a".as_slice(), b"bc"]));
    }
}
