//! A strict reader of Prometheus' text format: what `promtool check metrics` takes, and no more.

use std::collections::{BTreeMap, BTreeSet};

/// The series of an exposition, by name and labels as written: `name{label="value"}`.
pub(crate) struct Exposition {
    pub(crate) series: BTreeMap<String, f64>,
    /// Each family's type.
    pub(crate) types: BTreeMap<String, String>,
}

impl Exposition {
    /// The value of one series, a whole number; zero where there is none.
    pub(crate) fn value(&self, series: &str) -> i64 {
        self.series.get(series).copied().map_or(0, whole)
    }

    /// The sum over all labels of a name.
    pub(crate) fn sum(&self, name: &str) -> i64 {
        self.sum_of(name, "")
    }

    /// The sum over all series of a name that have a label.
    pub(crate) fn sum_of(&self, name: &str, label: &str) -> i64 {
        let of_name =
            |series: &str| series.split('{').next() == Some(name) && series.contains(label);
        self.series
            .iter()
            .filter(|(series, _)| of_name(series))
            .map(|(_, value)| whole(*value))
            .sum()
    }
}

fn whole(value: f64) -> i64 {
    format!("{value:.0}").parse().unwrap()
}

/// Reads an exposition.
pub(crate) fn parse(text: &str) -> Result<Exposition, String> {
    if !text.ends_with('\n') {
        return Err("the last line does not end".to_owned());
    }
    let mut exposition = Exposition { series: BTreeMap::new(), types: BTreeMap::new() };
    let (mut helps, mut closed): (BTreeSet<String>, BTreeSet<String>) = Default::default();
    let mut current = String::new();
    for line in text.lines() {
        let problem = |what: &str| Err(format!("{what}: {line}"));
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let Some((name, help)) = rest.split_once(' ') else { return problem("no help") };
            if help.trim().is_empty() || !helps.insert(name.to_owned()) {
                return problem("help that is empty or stands twice");
            }
            closed.insert(std::mem::replace(&mut current, name.to_owned()));
            if closed.contains(name) {
                return problem("a family that stands in two places");
            }
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let Some((name, kind)) = rest.split_once(' ') else { return problem("no type") };
            if name != current || !["counter", "gauge", "histogram"].contains(&kind) {
                return problem("a type in the wrong place, or unknown");
            }
            if kind == "counter" && !name.ends_with("_total") {
                return problem("a counter whose name does not end in _total");
            }
            if kind != "counter" && name.ends_with("_total") {
                return problem("no counter, and its name ends in _total");
            }
            if ["_milliseconds", "_ms", "_minutes", "_kilobytes", "_mb", "_percent"]
                .iter()
                .any(|unit| name.contains(unit))
            {
                return problem("no base unit");
            }
            exposition.types.insert(name.to_owned(), kind.to_owned());
        } else if line.starts_with('#') || line.is_empty() {
            return problem("neither help, nor type, nor series");
        } else {
            let Some((series, value)) = line.rsplit_once(' ') else { return problem("no value") };
            let Ok(value) = value.parse::<f64>() else { return problem("no number") };
            let name = series.split('{').next().unwrap();
            let family = match exposition.types.get(&current).map(String::as_str) {
                Some("histogram") => ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|suffix| name.strip_suffix(suffix))
                    .unwrap_or(name),
                Some(_) => name,
                None => return problem("a series without a type"),
            };
            if family != current {
                return problem("a series outside its family");
            }
            is_named(name).then_some(()).ok_or(format!("a wrong name: {line}"))?;
            labels(series).map_err(|what| format!("{what}: {line}"))?;
            if exposition.series.insert(series.to_owned(), value).is_some() {
                return problem("a series that stands twice");
            }
        }
    }
    Ok(exposition)
}

fn is_named(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(word)
}

/// The labels of a series, which must be well written and differ.
fn labels(series: &str) -> Result<(), String> {
    let Some((_, rest)) = series.split_once('{') else { return Ok(()) };
    let mut rest = rest.strip_suffix('}').ok_or("labels that do not end")?;
    let mut names = BTreeSet::new();
    while !rest.is_empty() {
        let (name, value) = rest.split_once("=\"").ok_or("a label without a value")?;
        if !is_named(name) || name.contains(':') || !names.insert(name) {
            return Err("a label's name that is wrong or stands twice".to_owned());
        }
        let mut end = None;
        let mut escaped = false;
        for (place, c) in value.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    end = Some(place);
                    break;
                }
                _ => {}
            }
        }
        let end = end.ok_or("a label's value that does not end")?;
        rest = value.split_at(end + 1).1;
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    Ok(())
}

#[test]
fn what_promtool_refuses_is_refused() {
    let good = "# HELP a_total A.\n# TYPE a_total counter\na_total{x=\"1,\\\"}\"} 1\n";
    assert!(parse(good).is_ok());
    for bad in [
        "# HELP a A.\n# TYPE a counter\na 1\n",
        "# HELP a_total A.\n# TYPE a_total gauge\na_total 1\n",
        "# TYPE a gauge\na 1\n",
        "a 1\n",
        "# HELP a A.\n# TYPE a gauge\na 1\na 1\n",
        "# HELP a A.\n# TYPE a gauge\nb 1\n",
        "# HELP a A.\n# TYPE a gauge\na one\n",
        "# HELP a A.\n# TYPE a gauge\na{x=1} 1\n",
        "# HELP a A.\n# TYPE a gauge\na{x=\"1\",x=\"2\"} 1\n",
        "# HELP a_ms A.\n# TYPE a_ms gauge\na_ms 1\n",
        "# HELP a A.\n# TYPE a gauge\na 1",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}
