"""ClickHouse in this process. It reads local files only below its working folder, which is that of the
lake."""
import pathlib
import chdb
from engine import file_actions, serve


def write(metadata, out):
    folder = metadata.parent.parent.relative_to(pathlib.Path.cwd())
    # Without its caches: each request is about another state of the same tables.
    sql = f"""SELECT * FROM icebergLocal('{folder}',
                SETTINGS iceberg_metadata_file_path = 'metadata/{metadata.name}')
              SETTINGS use_iceberg_metadata_files_cache = 0"""
    out.write_bytes(chdb.query(sql, 'Parquet').bytes())


serve(**file_actions(write))
