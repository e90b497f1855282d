//! Which processes have a DuckDB file open. Linux lists open files and locks of processes in
//! `/proc`; on other systems this is not known.

use std::fmt;
use std::path::Path;

/// A process that has a file open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its id.
    pub pid: u32,
    /// The name of its program; empty if it cannot be read.
    pub name: String,
    /// What it has open.
    pub held: Held,
}

/// What a process has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// The file, locked for writing: no other process can open it.
    Written,
    /// The file, for reading.
    Read,
    /// An earlier file of that path, which was replaced since.
    Earlier,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.name.is_empty() { "a process" } else { &self.name };
        write!(f, "{name} (PID {})", self.pid)
    }
}

/// The other processes that have a file open, by id; `None` where that cannot be known. Processes
/// of other users are known by their locks only, unless this process may read their open files.
#[cfg(target_os = "linux")]
pub fn holders(path: &Path) -> Option<Vec<Holder>> {
    linux::holders(path)
}

/// The other processes that have a file open: not known on this system.
#[cfg(not(target_os = "linux"))]
pub fn holders(_path: &Path) -> Option<Vec<Holder>> {
    None
}

/// A holder that DuckDB named, such as `/usr/bin/python3 (PID 12)`, with all others of the file.
pub(super) fn with_others(named: &str, path: &Path) -> String {
    let found = holders(path).unwrap_or_default();
    let others = found.iter().filter(|holder| holder.held != Held::Earlier);
    let others = others.filter(|holder| !named.contains(&format!("(PID {})", holder.pid)));
    others.fold(named.to_owned(), |text, holder| format!("{text} and {holder}"))
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use std::path::{Path, PathBuf};

    use rustix::fs::{major, minor};

    use super::{Held, Holder};

    /// The device and the number of a file.
    type FileNumber = (u64, u64);

    pub(super) fn holders(path: &Path) -> Option<Vec<Holder>> {
        let path = fs::canonicalize(path).ok()?;
        let file = number(&path)?;
        let own = std::process::id();
        let mut found = locks(file)?;
        for entry in fs::read_dir("/proc").ok()?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            if let Some(held) = open_file(pid, file, &path) {
                found.entry(pid).or_insert(held);
            }
        }
        found.remove(&own);
        let named = |(pid, held)| Holder { pid, name: name(pid), held };
        Some(found.into_iter().map(named).collect())
    }

    fn number(path: &Path) -> Option<FileNumber> {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    }

    fn name(pid: u32) -> String {
        // The process may have ended by now.
        fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
    }

    /// What a process has open of a path; `None` if nothing, or if it is another user's.
    fn open_file(pid: u32, file: FileNumber, path: &Path) -> Option<Held> {
        let mut replaced = path.as_os_str().to_owned();
        replaced.push(" (deleted)");
        let replaced = PathBuf::from(replaced);
        let mut held = None;
        for descriptor in fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten() {
            let descriptor = descriptor.path();
            if number(&descriptor) == Some(file) {
                return Some(Held::Read);
            }
            if fs::read_link(&descriptor).is_ok_and(|target| target == replaced) {
                held = Some(Held::Earlier);
            }
        }
        held
    }

    /// The processes that have a file locked.
    fn locks((device, inode): FileNumber) -> Option<BTreeMap<u32, Held>> {
        let file = format!("{:02x}:{:02x}:{inode}", major(device), minor(device));
        let list = fs::read_to_string("/proc/locks").ok()?;
        Some(list.lines().filter_map(|line| lock(line, &file)).collect())
    }

    /// The process and the kind of a lock: `1: POSIX  ADVISORY  WRITE 812 08:01:1234 0 EOF`. A line
    /// of a process that only waits has `->` after its number.
    fn lock(line: &str, file: &str) -> Option<(u32, Held)> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let &[_, _, _, kind, pid, of, ..] = words.as_slice() else { return None };
        let held = if kind == "WRITE" { Held::Written } else { Held::Read };
        // A lock of an open file description has no process.
        (of == file).then_some((pid.parse().ok()?, held))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn lines_of_locks_are_read() {
            let file = "08:01:1234";
            let cases = [
                ("1: POSIX  ADVISORY  WRITE 812 08:01:1234 0 EOF", Some((812, Held::Written))),
                ("2: POSIX  ADVISORY  READ 813 08:01:1234 0 EOF", Some((813, Held::Read))),
                ("2: -> POSIX  ADVISORY  WRITE 814 08:01:1234 0 EOF", None),
                ("3: OFDLCK ADVISORY  READ -1 08:01:1234 0 EOF", None),
                ("4: FLOCK  ADVISORY  WRITE 815 08:01:12345 0 EOF", None),
                ("", None),
            ];
            for (line, expected) in cases {
                assert_eq!(lock(line, file), expected, "{line}");
            }
        }
    }
}
