//! A page, read as a browser would: its tables, its text, its tags and its addresses.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

static TAG: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"<(/?[a-zA-Z!][^\s>/]*)([^>]*)>").unwrap());
static ATTRIBUTE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"([a-zA-Z-]+)(?:="([^"]*)")?"#).unwrap());

/// A page that was made.
pub(crate) struct Page {
    pub(crate) html: String,
}

impl Page {
    pub(crate) fn new(html: String) -> Self {
        assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"));
        Self { html }
    }

    /// What stands between two texts, the first time.
    pub(crate) fn between(&self, from: &str, until: &str) -> &str {
        let (_, rest) = self.html.split_once(from).unwrap_or_else(|| panic!("no `{from}`"));
        rest.split_once(until).unwrap_or_else(|| panic!("no `{until}`")).0
    }

    /// The cells of the body of a table; none if the page says that there is nothing to show.
    pub(crate) fn table(&self, id: &str) -> Vec<Vec<String>> {
        let start = format!("<table id=\"{id}\"");
        let Some((_, rest)) = self.html.split_once(&start) else { return Vec::new() };
        let table = rest.split_once("</table>").unwrap().0;
        let body = table.split_once("<tbody>").unwrap().1;
        let cell = Regex::new(r"(?s)<t[hd][^>]*>(.*?)</t[hd]>").unwrap();
        let rows = body.split("<tr>").skip(1);
        rows.map(|row| cell.captures_iter(row).map(|found| text_of(&found[1])).collect()).collect()
    }

    /// All text, one line for each block, without styles and definitions.
    pub(crate) fn text(&self) -> String {
        let main = self.between("<main id=\"main\">", "<section aria-labelledby=\"definitions\">");
        let blocks = Regex::new(r"</(?:p|h\d|li|dd|tr|caption|title|desc|text|summary)>").unwrap();
        let cells = Regex::new(r"</(?:t[hd]|dt)>").unwrap();
        let marked = blocks.replace_all(main, "\u{1}");
        let marked = cells.replace_all(&marked, " | ").replace('\n', " ");
        let lines = marked.split('\u{1}').map(text_of).map(|line| line.trim().to_owned());
        lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
    }

    /// The names of all tags and their attributes, in order.
    pub(crate) fn skeleton(&self) -> Vec<String> {
        let tags = TAG.captures_iter(&self.html);
        tags.map(|tag| {
            let names = ATTRIBUTE.captures_iter(&tag[2]).map(|name| name[1].to_owned());
            let names: Vec<String> = names.collect();
            format!("{} {}", &tag[1], names.join(" "))
        })
        .collect()
    }

    /// The values of attributes of a name.
    pub(crate) fn attributes(&self, name: &str) -> BTreeSet<String> {
        let tags = TAG.captures_iter(&self.html);
        let attributes = tags.flat_map(|tag| {
            let found = tag.get(2).unwrap().as_str();
            ATTRIBUTE.captures_iter(found).collect::<Vec<_>>()
        });
        attributes
            .filter(|attribute| &attribute[1] == name)
            .map(|attribute| attribute.get(2).map_or("", |value| value.as_str()).to_owned())
            .collect()
    }
}

/// Markup as text. The templates escape by numbers only.
pub(crate) fn text_of(markup: &str) -> String {
    let text = TAG.replace_all(markup, "");
    let entity = Regex::new(r"&#(\d+);").unwrap();
    let text = entity.replace_all(&text, |found: &regex::Captures<'_>| {
        char::from_u32(found[1].parse().unwrap()).unwrap().to_string()
    });
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}
