"""Runs the README's statements in DuckDB as they stand, and copies each table of the catalog to a
Parquet file. Prints the rows of the last statement as JSON."""
import importlib.util, json, pathlib, shutil, sys
import duckdb
folder, out, statements = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
# `INSTALL` finds the extensions of the Python packages there, and asks no server for them.
database = duckdb.connect(config={'extension_directory': str(folder / 'extensions')})
for name in ('httpfs', 'avro', 'iceberg'):
    package = pathlib.Path(importlib.util.find_spec(f'duckdb_extension_{name}').origin).parent
    file, = package.glob(f'extensions/*/{name}.duckdb_extension')
    platform, = database.sql('PRAGMA platform').fetchone()
    to = folder / 'extensions' / file.parent.name / platform
    to.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, to)
database.execute("SET TimeZone = 'UTC'")
found = database.execute(statements).fetchall()
for name, in database.execute("SELECT table_name FROM information_schema.tables WHERE table_catalog = 'lakehouse'").fetchall():
    database.execute(f"COPY (FROM lakehouse.armature.{name}) TO '{out}/{name}.parquet'")
print(json.dumps(found))
