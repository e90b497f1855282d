//! `documents` in the DuckDB file: a table, a view over the lake's data files, or neither.
//!
//! The view has the rows that the table would have, however far the lake is ahead of the file,
//! because it is joined with the file's own `runs`.

use super::options::DeliveryOptions;
use crate::config::DuckdbDocuments;
use crate::digest::fingerprint;
use crate::lake::{LakeError, LakeStore};
use crate::query::{PlannedTable, Relation, TablePlan, documents_query, identifier, literal};
use crate::tables::DOCUMENTS;
use crate::targets::DeliverError;

/// What `documents` is to be in a file.
#[derive(Clone, Debug)]
pub(super) enum Documents {
    /// A table.
    Table(PlannedTable),
    /// A view.
    View {
        /// The query of the view.
        query: String,
        /// Its comment, which differs from that of any other query.
        comment: String,
    },
    /// Neither.
    None,
}

impl Documents {
    /// What the options say.
    ///
    /// # Errors
    /// [`DeliverError::ViewOfStore`]; [`LakeError`] if the lake's folders cannot be listed.
    pub(super) fn new(
        options: &DeliveryOptions,
        lake: &LakeStore,
        plan: &TablePlan,
    ) -> Result<Self, DeliverError> {
        let form = options.documents_in(lake)?;
        let Some(planned) = plan.get(&DOCUMENTS) else { return Ok(Self::None) };
        match form {
            DuckdbDocuments::Table => Ok(Self::Table(planned.clone())),
            DuckdbDocuments::View => Ok(Self::view(lake, planned)?),
            DuckdbDocuments::None => Ok(Self::None),
        }
    }

    /// The view over a lake's data files.
    ///
    /// # Errors
    /// [`LakeError`] if the lake's folders cannot be listed.
    fn view(lake: &LakeStore, planned: &PlannedTable) -> Result<Self, LakeError> {
        let query = documents_query(lake, planned)?;
        let comment = format!(
            "{} A view over the Parquet files in `{}` (definition {:016x}).",
            DOCUMENTS.description,
            lake.location(DOCUMENTS.name),
            fingerprint([query.as_bytes()])
        );
        Ok(Self::View { query, comment })
    }

    /// Whether it is a table.
    pub(super) fn is_table(&self) -> bool {
        matches!(self, Self::Table(_))
    }

    /// Whether what is in a file is that already. The comment of a view shows of which query it was
    /// made: DuckDB stores the query in another form.
    pub(super) fn is(&self, found: Option<&Relation>) -> bool {
        match (self, found) {
            (Self::Table(_), Some(found)) => !found.is_view,
            (Self::View { comment, .. }, Some(found)) => {
                found.is_view && found.comment.as_ref() == Some(comment)
            }
            (Self::None, found) => found.is_none(),
            (_, None) => false,
        }
    }

    /// The statements that create it.
    pub(super) fn statements(&self) -> String {
        let name = identifier(DOCUMENTS.name);
        match self {
            Self::Table(planned) => format!("{};\n{}", planned.create, planned.comments),
            Self::View { query, comment } => format!(
                "CREATE VIEW {name} AS {query};\nCOMMENT ON VIEW {name} IS {};",
                literal(comment)
            ),
            Self::None => String::new(),
        }
    }

    /// What it is, for messages.
    pub(super) fn words(&self) -> &'static str {
        match self {
            Self::Table(_) => "a table",
            Self::View { .. } => "a view over the lake's data files",
            Self::None => "left out",
        }
    }
}
