"""The same export as a user of dlt would write it: the run list, and four documents for each run.

Usage: dlt_export.py BASE_URL FOLDER parquet|duckdb

Prints how many runs there were, as JSON. All that dlt keeps stays below FOLDER.
"""

import json
import os
import sys
from pathlib import Path

# dlt reads these when it is imported. It would otherwise tell its makers of every run.
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["EXTRACT__WORKERS"] = "16"
os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"

import dlt  # noqa: E402
from dlt.sources.rest_api import rest_api_source  # noqa: E402


def per_run(name, rest="", rows="$", payloads=()):
    """One document of every run. Its payloads stay JSON: spreading them over columns takes longer."""
    return {
        "name": name,
        "parallelized": True,
        "include_from_parent": ["id"],
        "columns": {payload: {"data_type": "json"} for payload in payloads},
        "endpoint": {
            "path": "runs/{resources.runs.id}" + rest,
            "data_selector": rows,
            "paginator": "single_page",
            # A run that was never judged has no evaluation.
            "response_actions": [{"status_code": 404, "action": "ignore"}],
        },
    }


def source(base_url):
    pages = {"type": "page_number", "base_page": 1, "page_param": "page", "total_path": None}
    runs = {
        "name": "runs",
        "endpoint": {
            "path": "runs",
            "params": {"range": "30d", "pageSize": 100},
            "data_selector": "rows",
            "paginator": pages,
        },
    }
    fixed = [
        {"name": name, "endpoint": {"path": path, "paginator": "single_page"}}
        for name, path in [("workflows", "workflows"), ("mcp_servers", "mcp-servers")]
    ]
    documents = [
        per_run("details", payloads=["metadata"]),
        per_run("spans", "/trace", "spans", ["attributes"]),
        per_run("evaluations", "/evaluation"),
        per_run("tool_calls", "/tool-calls", "rows", ["arguments", "result"]),
    ]
    client = {"base_url": base_url, "auth": {"type": "bearer", "token": "amt_bench_key"}}
    return rest_api_source({"client": client, "resources": [runs, *fixed, *documents]})


def destination(folder, form):
    if form == "duckdb":
        return dlt.destinations.duckdb(str(folder / "export.duckdb"))
    return dlt.destinations.filesystem(bucket_url=(folder / "lake").as_uri())


def main():
    base_url, folder, form = sys.argv[1:]
    folder = Path(folder).resolve()
    pipeline = dlt.pipeline(
        pipeline_name="armature",
        pipelines_dir=str(folder / "pipelines"),
        destination=destination(folder, form),
        dataset_name="runs",
    )
    loaded = pipeline.run(source(base_url), loader_file_format="parquet")
    loaded.raise_on_failed_jobs()
    counts = pipeline.last_trace.last_normalize_info.row_counts
    print(json.dumps({"runs": counts["runs"], "details": counts["details"]}))


main()
