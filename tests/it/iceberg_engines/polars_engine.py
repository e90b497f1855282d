"""Polars."""
import polars
from engine import file_actions, serve


def write(metadata, out):
    polars.scan_iceberg(str(metadata)).collect().write_parquet(out)


serve(**file_actions(write))
