//! `deliver`: brings the targets up to date with the lake.

use super::args::DeliverArguments;
use super::context::Context;
use super::table::counted;
use crate::failure::{Exit, Failure};
use crate::lake::{LakeStore, LakeView};
use crate::targets::{self, Delivery};

pub(super) async fn run(context: &Context, arguments: &DeliverArguments) -> Result<Exit, Failure> {
    let mut settings = context.targets(&arguments.targets);
    let lake = LakeView::open(LakeStore::configured(&settings)?).await?;
    let mapping = settings.mapping()?;
    let (events, progress) = context.events();
    // Asking for a delivery enables the one target that every configuration names, if there is no
    // other.
    settings.duckdb.enabled |= settings.iceberg.catalog.is_none();
    let mut deliveries = Vec::new();
    for target in targets::configured(&settings, lake.store(), &events, None) {
        let delivery = if arguments.rebuild {
            target.rebuild(&lake, &mapping).await
        } else {
            target.deliver(&lake, &mapping).await
        };
        deliveries.push(delivery);
    }
    if let Some(progress) = progress {
        progress.end();
    }
    // A target that failed does not hide what the others have.
    let (mut done, mut failed) = (Vec::new(), None);
    for delivery in deliveries {
        match delivery {
            Ok(delivery) => done.push(delivery),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    if !done.is_empty() {
        context.print(&done, || done.iter().map(text).collect::<Vec<_>>().join("\n"))?;
    }
    failed.map_or(Ok(Exit::Done), |error| Err(error.into()))
}

fn text(delivery: &Delivery) -> String {
    let rows: u64 = delivery.rows.values().sum();
    let copy = delivery.published.as_deref();
    let copy = copy.map(|copy| format!(", published as {copy}")).unwrap_or_default();
    match delivery.state {
        "applied" => format!(
            "applied {} ({}) to {}{copy}",
            counted(delivery.commits, "commit", "commits"),
            counted(rows, "row", "rows"),
            delivery.path
        ),
        _ => format!("{} is up to date (commit {}){copy}", delivery.path, delivery.commit),
    }
}
