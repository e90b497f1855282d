"""DuckDB with its extension for Iceberg, which is not the library that this project links."""
import importlib.util, pathlib
import duckdb
from engine import file_actions, serve

database = duckdb.connect()
database.execute("SET TimeZone = 'UTC'")
for name in ('avro', 'iceberg'):
    package = pathlib.Path(importlib.util.find_spec(f'duckdb_extension_{name}').origin).parent
    extension, = package.glob(f'extensions/*/{name}.duckdb_extension')
    database.execute(f"LOAD '{extension}'")


def write(metadata, out):
    database.execute(f"COPY (FROM iceberg_scan('{metadata}')) TO '{out}' (FORMAT parquet)")


serve(**file_actions(write))
