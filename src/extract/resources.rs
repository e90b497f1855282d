//! The small endpoints: the organization, and the lists of workflows and MCP servers.

use bytes::Bytes;

use crate::api::{ApiError, Client, DocumentPages, FetchResult, MissingRows};
use crate::digest::fingerprint;
use crate::json::{Node, unwrap};
use crate::tables::ListSources;
use crate::time::Timestamp;

/// The organization of the key, from `GET /org` (its body is documented).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// The organization's id.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its short name in host names.
    pub slug: Option<String>,
    /// The key's role: `viewer` is enough for all requests of this program.
    pub role: Option<String>,
    /// The key's name.
    pub key_name: Option<String>,
    /// The server's clock; `None` if it sends no `Date`.
    pub server_now: Option<Timestamp>,
}

/// How often `GET /org` is repeated for a readable `Date`.
const DATE_TRIES: u32 = 2;

/// Requests the organization of the key: the documented way to check a key.
///
/// # Errors
/// [`ApiError`], above all if the key is refused.
pub async fn organization(client: &Client) -> Result<Organization, ApiError> {
    let mut answer = client.require("/org", &[]).await?;
    // The server's clock decides about windows and waits, and this machine's is a poor replacement:
    // a `Date` that is missing or spoiled once is asked for again.
    for _ in 0..DATE_TRIES {
        match answer.date {
            Some(_) => break,
            None => answer = client.require("/org", &[]).await?,
        }
    }
    let node = Node::parse(&answer.body).map_err(|malformed| ApiError::Unusable {
        path: "/org".to_owned(),
        problem: malformed.to_string(),
    })?;
    let inner = unwrap(node, &["data"], &["organization", "org", "id"]).map_or(node, |it| it.1);
    let text = |paths: &[&str]| {
        let found = paths.iter().find_map(|path| inner.at(path)?.scalar_text());
        found.map(std::borrow::Cow::into_owned)
    };
    Ok(Organization {
        id: text(&["organization.id", "org.id", "organizationId", "organization_id", "id"]),
        name: text(&["organization.name", "org.name", "name"]),
        slug: text(&["organization.slug", "org.slug", "slug"]),
        role: text(&["actor.role", "role"]),
        key_name: text(&["actor.apiKeyName", "actor.api_key_name"]),
        server_now: answer.date,
    })
}

/// A small list with all of its pages.
#[derive(Clone, Debug)]
pub struct ResourceList {
    pages: Vec<Bytes>,
    list: ListSources,
    /// Set if the API states that there are more rows than it returned.
    pub missing: Option<MissingRows>,
}

impl ResourceList {
    /// A fingerprint of the list's bodies: shows whether the list changed.
    pub fn fingerprint(&self) -> u64 {
        fingerprint(self.pages.iter().map(Bytes::as_ref))
    }

    /// The elements of the list; none if the bodies hold no list.
    pub fn elements(&self) -> Vec<Node<'_>> {
        let nodes = self.pages.iter().filter_map(|page| Node::from_validated(page));
        nodes.filter_map(|node| self.list.find(node)).flat_map(|list| list.elements).collect()
    }
}

/// Gets `/workflows` or `/mcp-servers`, to the end of the list; `None` if the API has no such list.
///
/// # Errors
/// [`ApiError`] if it cannot be fetched.
pub async fn resource_list(
    client: &Client,
    path: &str,
    list: &ListSources,
) -> Result<Option<ResourceList>, ApiError> {
    match client.get(path, &[]).await? {
        FetchResult::Body(first) => {
            let DocumentPages { pages, missing } = client.read_on(path, first, list, true).await?;
            let pages = pages.into_iter().map(|page| page.body).collect();
            Ok(Some(ResourceList { pages, list: list.clone(), missing }))
        }
        FetchResult::Absent { .. } | FetchResult::Empty { .. } | FetchResult::NotReady => Ok(None),
    }
}
