//! Bodies of one run made into those of another: a copy, and a few places written over.
//!
//! Everything that changes is as long as what it replaces, so the places are looked for once. The
//! server shares the machine with what is measured, and must not show in the figures.

use chrono::{DateTime, Datelike, Timelike};
use memchr::{memchr_iter, memmem};

/// `2026-11-23T12:00:00.123Z`
const INSTANT_LENGTH: usize = 24;

/// A body with the places at which runs differ.
#[derive(Debug)]
pub(crate) struct Template {
    body: Vec<u8>,
    ids: Vec<usize>,
    /// Each with its milliseconds since 1970.
    instants: Vec<(usize, i64)>,
}

impl Template {
    /// `id` is the run's, wherever it stands in the body.
    pub(crate) fn new(body: Vec<u8>, id: &str) -> Self {
        let ids = memmem::find_iter(&body, id).collect();
        let quotes = memchr_iter(b'"', &body);
        let instants = quotes.filter_map(|quote| Some((quote + 1, instant_at(&body, quote + 1)?)));
        let instants = instants.collect();
        let template = Self { body, ids, instants };
        assert_eq!(template.fill(id, 0), template.body, "a copy of {id} is not like it");
        template
    }

    /// The body of the run `id`, with all instants moved by so many milliseconds.
    pub(crate) fn fill(&self, id: &str, shift: i64) -> Vec<u8> {
        let mut filled = Vec::with_capacity(self.body.len());
        self.append(&mut filled, id, shift);
        filled
    }

    /// The same at the end of another body.
    pub(crate) fn append(&self, out: &mut Vec<u8>, id: &str, shift: i64) {
        let from = out.len();
        out.extend_from_slice(&self.body);
        let filled = &mut out[from..];
        for at in &self.ids {
            filled[*at..*at + id.len()].copy_from_slice(id.as_bytes());
        }
        for (at, milliseconds) in &self.instants {
            write_instant(&mut filled[*at..*at + INSTANT_LENGTH], milliseconds + shift);
        }
    }
}

/// The instant that stands between quotes from here on, in milliseconds since 1970.
fn instant_at(body: &[u8], at: usize) -> Option<i64> {
    let text = body.get(at..at + INSTANT_LENGTH)?;
    if body.get(at + INSTANT_LENGTH) != Some(&b'"') || text[10] != b'T' || text[23] != b'Z' {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    Some(DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis())
}

/// Writes over an instant; what stands between its numbers stays.
fn write_instant(text: &mut [u8], milliseconds: i64) {
    let instant = DateTime::from_timestamp_millis(milliseconds).unwrap();
    write_number(&mut text[..4], instant.year().unsigned_abs());
    write_number(&mut text[5..7], instant.month());
    write_number(&mut text[8..10], instant.day());
    write_number(&mut text[11..13], instant.hour());
    write_number(&mut text[14..16], instant.minute());
    write_number(&mut text[17..19], instant.second());
    write_number(&mut text[20..23], instant.timestamp_subsec_millis());
}

fn write_number(text: &mut [u8], mut number: u32) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap();
        number /= 10;
    }
}
