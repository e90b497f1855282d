"""ClickHouse in this process. It reads local files only below its working folder, which is that of the
lake."""
import pathlib
from chdb.session import Session
from engine import file_actions, metadata_files, serve

session = Session()
session.query('CREATE DATABASE lake')
session.query('USE lake')


def rows(metadata):
    folder = metadata.parent.parent.relative_to(pathlib.Path.cwd())
    # Without its caches: each request is about another state of the same tables.
    return f"""SELECT * FROM icebergLocal('{folder}',
                 SETTINGS iceberg_metadata_file_path = 'metadata/{metadata.name}')
               SETTINGS use_iceberg_metadata_files_cache = 0"""


def write(metadata, out):
    out.write_bytes(session.query(rows(metadata), 'Parquet').bytes())


def query(lake, statements, queries, out):
    for name, metadata in metadata_files(lake):
        session.query(f'CREATE OR REPLACE TABLE `files_of_{name}` ENGINE = Memory AS {rows(metadata)}')
    for statement in statements:
        session.query(statement)
    for name, sql in queries.items():
        (pathlib.Path(out) / f'{name}.parquet').write_bytes(session.query(sql, 'Parquet').bytes())


serve(**file_actions(write), query=query)
