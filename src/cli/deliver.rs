//! `deliver`: brings the DuckDB file up to date with the lake.

use super::args::DeliverArguments;
use super::context::Context;
use super::table::counted;
use crate::failure::{Exit, Failure};
use crate::lake::LakeView;
use crate::targets::{self, Delivery};

pub(super) async fn run(context: &Context, arguments: &DeliverArguments) -> Result<Exit, Failure> {
    let mut settings = context.targets(&arguments.targets);
    let lake = LakeView::open(&settings.lake.path).await?;
    let mapping = settings.mapping().map_err(crate::sync::SyncError::from)?;
    let (events, progress) = context.events();
    // Asking for a delivery enables the one target that every configuration names.
    settings.duckdb.enabled = true;
    let mut deliveries = Vec::new();
    for target in targets::configured(&settings, &events, None) {
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
    let deliveries = deliveries.into_iter().collect::<Result<Vec<Delivery>, _>>()?;
    context.print(&deliveries, || {
        let lines: Vec<String> = deliveries.iter().map(text).collect();
        lines.join("\n")
    })?;
    Ok(Exit::Done)
}

fn text(delivery: &Delivery) -> String {
    let rows: u64 = delivery.rows.values().sum();
    match delivery.state {
        "applied" => format!(
            "applied {} ({}) to {}",
            counted(delivery.commits, "commit", "commits"),
            counted(rows, "row", "rows"),
            delivery.path
        ),
        _ => format!("{} is up to date (commit {})", delivery.path, delivery.commit),
    }
}
