//! Bodies of tool calls, generated from templates.

use serde_json::Value;

use super::catalog::Tool;
use super::random::Seeded;

/// Replaces each `<placeholder>` of a template by a seeded value.
pub(super) fn fill(template: &str, random: &mut Seeded) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('<') {
        filled.push_str(before);
        let Some((name, behind)) = after.split_once('>') else {
            filled.push('<');
            rest = after;
            continue;
        };
        filled.push_str(&value_of(name, random));
        rest = behind;
    }
    filled.push_str(rest);
    filled
}

fn value_of(placeholder: &str, random: &mut Seeded) -> String {
    match placeholder {
        "digit" => random.between(1, 9).to_string(),
        "int" => random.between(2, 9_000).to_string(),
        "hex" => random.hexadecimal(),
        "money" => format!("{}.{}", random.between(4, 400), random.between(1, 9)),
        "name" => random.pick(&["Amira", "Jörg", "Li Wei", "Saoirse", "Tomás", "Zoë"]).to_owned(),
        "mail" => format!("user{}@example.com", random.between(1, 99)),
        "word" => {
            let words = ["alpine", "signing", "export", "winter", "trail", "search", "naïve"];
            random.pick(&words).to_owned()
        }
        "repository" => random.pick(&["acme/web", "acme/api", "acme/mobile"]).to_owned(),
        other => format!("<{other}>"),
    }
}

/// A filled template as a JSON value, or as a string if it is not valid JSON.
fn body(template: &str, random: &mut Seeded) -> Value {
    let text = fill(template, random);
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// The arguments of a call; sometimes as JSON in a string (inferred from the platform's ingest
/// events).
pub(super) fn arguments_of(tool: &Tool, random: &mut Seeded) -> Value {
    let arguments = body(random.pick(tool.arguments), random);
    if random.percent(2) { Value::String(arguments.to_string()) } else { arguments }
}

/// The result of a successful call; sometimes as JSON in a string, as such a string truncated, or
/// replaced by a redaction marker (all three inferred from Armature's public code).
pub(super) fn result_of(tool: &Tool, random: &mut Seeded) -> Value {
    let result = body(random.pick(tool.results), random);
    match random.below(100) {
        0..=4 if !result.is_string() => Value::String(result.to_string()),
        5..=7 if !result.is_string() => {
            let text = result.to_string();
            let kept = text.chars().count() * 3 / 5;
            Value::String(text.chars().take(kept.max(1)).collect())
        }
        8 => Value::String("[redacted:github-token]".to_owned()),
        _ => result,
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalog_workflows::WORKFLOWS;
    use super::*;

    #[test]
    fn templates_that_look_like_json_are_json() {
        let mut random = Seeded::new(1);
        for tool in WORKFLOWS.iter().flat_map(|workflow| workflow.tools) {
            for template in tool.arguments.iter().chain(tool.results) {
                let value = body(template, &mut random);
                let is_text = !template.starts_with(['{', '[']);
                assert_eq!(value.is_string(), is_text, "{}: {template}", tool.name);
                let text = value.to_string();
                assert!(!text.contains('<') && !text.contains('>'), "placeholder left: {text}");
            }
            for template in tool.arguments {
                assert!(template.starts_with('{'));
            }
        }
    }
}
