"""One sync, for Python orchestrators: runs the program, reads its JSON, branches on its exit code.

`EXIT_CODES` holds everything that an orchestrator must decide. See airflow_dag.py and
dagster_job.py for its use.
"""

import json
import subprocess
from dataclasses import dataclass

# Exit code: what it means, and whether the same sync may be tried again at once.
EXIT_CODES = {
    0: ("done", False),
    1: ("a bug in armature-export", False),
    2: ("wrong usage or configuration", False),
    3: ("finished, but incomplete", False),
    4: ("the API refused the key or its role", False),
    5: ("the API is unreachable", True),
    6: ("the lake or the DuckDB file is not writable, or is locked", True),
    130: ("interrupted; what was complete is committed", True),
}


class SyncFailed(Exception):
    """A sync that failed and needs a person."""


class SyncUnavailable(Exception):
    """A sync that may be tried again: it continues where this one ended."""


@dataclass(frozen=True)
class Synced:
    """What a sync did."""

    complete: bool
    report: dict


def sync(program: str = "armature-export", arguments: tuple[str, ...] = ()) -> Synced:
    """Runs one sync. ARMATURE_API_URL and ARMATURE_API_KEY come from the environment."""
    ended = subprocess.run(
        [program, "--output", "json", "--log-format", "json", "sync", *arguments],
        stdout=subprocess.PIPE,
        check=False,
    )
    if ended.returncode in (0, 3):
        return Synced(complete=ended.returncode == 0, report=json.loads(ended.stdout))
    meaning, again = EXIT_CODES.get(ended.returncode, ("ended by a signal", True))
    error = SyncUnavailable if again else SyncFailed
    raise error(f"armature-export sync: {meaning} (exit code {ended.returncode})")
