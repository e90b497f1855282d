//! The small endpoints: the organization, and the lists that do not page.

use bytes::Bytes;

use crate::api::{ApiError, Client, Fetched};
use crate::json::{Node, unwrap};
use crate::tables::ListSources;

/// What `GET /org` says about the key (its body is documented).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// The organization's id.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its short name in host names.
    pub slug: Option<String>,
    /// The key's role: `viewer` is enough for everything this program asks for.
    pub role: Option<String>,
    /// The key's name.
    pub key_name: Option<String>,
    /// The server's clock, in microseconds since 1970; `None` where it sends no `Date`.
    pub server_now: Option<i64>,
}

/// Asks who the key belongs to: the documented check of a key.
///
/// # Errors
/// [`ApiError`]: above all a key that is refused.
pub async fn organization(client: &Client) -> Result<Organization, ApiError> {
    let answer = client.require("/org", &[]).await?;
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

/// A list that does not page, as one body.
#[derive(Clone, Debug)]
pub struct ResourceList {
    body: Bytes,
    list: ListSources,
}

impl ResourceList {
    /// The body as it was sent.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The elements of the list; none where the body holds no list.
    pub fn elements(&self) -> Vec<Node<'_>> {
        let node = Node::parse(&self.body).ok();
        let list = node.and_then(|node| self.list.find(node));
        list.map(|list| list.elements).unwrap_or_default()
    }
}

/// Gets `/workflows` or `/mcp-servers`; `None` where the API has no such list.
///
/// # Errors
/// [`ApiError`] where it cannot be had.
pub async fn resource_list(
    client: &Client,
    path: &str,
    list: &ListSources,
) -> Result<Option<ResourceList>, ApiError> {
    match client.get(path, &[]).await? {
        Fetched::Body(answer) => Ok(Some(ResourceList { body: answer.body, list: list.clone() })),
        Fetched::Absent { .. } => Ok(None),
    }
}
