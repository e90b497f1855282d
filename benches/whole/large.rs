//! A trace as nobody wants it: many spans that each hold a long text.

use chrono::{DateTime, SecondsFormat};
use fastrand::Rng;
use serde_json::{Value, json};

/// About how long the text of one span is.
const TEXT: usize = 50_000;

/// How many words the texts are made of.
const WORDS: usize = 4_000;

/// The body of a trace of about so many bytes, for a run that started then (milliseconds).
pub(crate) fn trace(id: &str, start: i64, bytes: usize) -> Vec<u8> {
    let mut random = Rng::with_seed(11);
    let words: Vec<String> = (0..WORDS).map(|_| word(&mut random)).collect();
    let mut body = format!(r#"{{"run_id":"{id}","spans":["#).into_bytes();
    for number in 0.. {
        serde_json::to_writer(&mut body, &span(number, start, &words, &mut random)).unwrap();
        if body.len() >= bytes {
            break;
        }
        body.push(b',');
    }
    body.extend_from_slice(b"]}");
    body
}

fn span(number: i64, start: i64, words: &[String], random: &mut Rng) -> Value {
    let instant = |milliseconds| {
        let instant = DateTime::from_timestamp_millis(milliseconds).unwrap();
        instant.to_rfc3339_opts(SecondsFormat::Millis, true)
    };
    json!({
        "id": format!("{:016x}", random.u64(..)),
        "parent_id": null,
        "name": "model.turn",
        "kind": "model",
        "started_at": instant(start + number * 10),
        "finished_at": instant(start + number * 10 + 9),
        "duration_ms": 9,
        "status": "ok",
        "attributes": {"model": "claude-sonnet-4-5", "text": text(words, random)},
    })
}

/// Words in no order, and numbers: it packs about as well as prose does.
fn text(words: &[String], random: &mut Rng) -> String {
    let mut text = String::with_capacity(TEXT + 32);
    while text.len() < TEXT {
        text.push_str(&words[random.usize(..words.len())]);
        text.push(' ');
        if random.u8(..) < 16 {
            text.push_str(&random.u32(..).to_string());
            text.push(' ');
        }
    }
    text
}

fn word(random: &mut Rng) -> String {
    (0..random.usize(2..12)).map(|_| random.lowercase()).collect()
}
