"""Dagster: the export as an asset, materialized every 15 minutes.

Run with `dagster dev -f dagster_job.py`, armature_sync.py beside it.
"""

import dagster as dg
from armature_sync import SyncFailed, SyncUnavailable, sync


@dg.asset(retry_policy=dg.RetryPolicy(max_retries=0))
def armature_runs(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """The lake and the DuckDB file, up to date."""
    try:
        synced = sync()
    except SyncFailed as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    except SyncUnavailable as error:
        raise dg.RetryRequested(max_retries=3, seconds_to_wait=60) from error
    if not synced.complete:
        context.log.warning("incomplete: see `armature-export status`")
    runs = synced.report["runs"]
    return dg.MaterializeResult(
        metadata={"complete": synced.complete, "new": runs["new"], "changed": runs["changed"]}
    )


defs = dg.Definitions(
    assets=[armature_runs],
    schedules=[
        dg.ScheduleDefinition(
            name="every_15_minutes",
            target=dg.AssetSelection.assets(armature_runs),
            cron_schedule="*/15 * * * *",
        )
    ],
)
