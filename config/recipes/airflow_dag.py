"""Airflow (2.x and 3.x): sync every 15 minutes, then load if anything is new.

Put it beside armature_sync.py in the DAGs folder. Exit code 3 (incomplete) loads what is there and
marks the load as such; Airflow tries 5 and 6 again; 2 and 4 fail at once and need a person.
"""

from datetime import datetime, timedelta

from armature_sync import SyncFailed, sync

try:
    from airflow.sdk import dag, task
    from airflow.sdk.exceptions import AirflowFailException
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task
    from airflow.exceptions import AirflowFailException


@dag(
    schedule="*/15 * * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    # Only one sync at a time on one lake.
    max_active_runs=1,
)
def armature_export():
    @task(retries=3, retry_delay=timedelta(minutes=1))
    def sync_runs() -> dict:
        try:
            synced = sync()
        except SyncFailed as error:
            # Trying again does not help.
            raise AirflowFailException(str(error)) from error
        return {"complete": synced.complete, "rows": synced.report["rows"]}

    @task.short_circuit
    def has_news(synced: dict) -> bool:
        return bool(synced["rows"])

    @task
    def load(synced: dict) -> None:
        print("load the new Parquet files here; complete:", synced["complete"])

    synced = sync_runs()
    has_news(synced) >> load(synced)


armature_export()
