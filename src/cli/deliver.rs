//! `deliver`: brings the DuckDB file up to date with the lake.

use super::args::DeliverArguments;
use super::context::Context;
use super::table::counted;
use crate::deliver::{DeliveryOptions, deliver, rebuild};
use crate::failure::{Exit, Failure};
use crate::lake::LakeView;
use crate::tables::Mapping;

pub(super) async fn run(context: &Context, arguments: &DeliverArguments) -> Result<Exit, Failure> {
    let settings = context.targets(&arguments.targets);
    let lake = LakeView::open(&settings.lake.path).await?;
    let mapping =
        Mapping::new(&settings.columns, &settings.lists).map_err(crate::sync::SyncError::from)?;
    let (events, progress) = context.events();
    let options = DeliveryOptions::new(&settings.duckdb, events);
    let delivery = if arguments.rebuild {
        rebuild(&lake, &mapping, &options).await
    } else {
        deliver(&lake, &mapping, &options).await
    };
    if let Some(progress) = progress {
        progress.end();
    }
    let delivery = delivery?;
    context.print(&delivery, || {
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
    })?;
    Ok(Exit::Done)
}
