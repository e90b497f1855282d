"""What the scripts of this folder share: a loop over requests, one line of JSON each, so that an engine
starts once for many states of a lake. An answer is one line, too."""
import json, os, pathlib, sys

# Engines print there what they like.
answers = os.fdopen(os.dup(1), 'w')
os.dup2(2, 1)


def metadata_files(lake):
    """The newest metadata of each table of the catalog `files`, by the table's name."""
    for folder in sorted(pathlib.Path(lake, '_iceberg').iterdir()):
        if folder.is_dir():
            metadata = folder / 'metadata'
            version = (metadata / 'version-hint.text').read_text()
            yield folder.name, metadata / f'v{version}.metadata.json'


def serve(**actions):
    """Answers each request with the action that it names. An action that fails ends the process."""
    for line in sys.stdin:
        request = json.loads(line)
        actions[request.pop('action')](**request)
        print('done', file=answers, flush=True)


def file_actions(write):
    """The actions of an engine that reads a table by its newest metadata, and writes a Parquet file."""
    def read(lake, out):
        for name, metadata in metadata_files(lake):
            write(metadata, pathlib.Path(out) / f'{name}.parquet')
    return {'read': read}


def spark_actions(spark, tables_of, write):
    """The actions of an engine with the interface of Spark, which finds the tables with their names."""
    def read(lake, out):
        for name, table in tables_of(lake):
            write(table, pathlib.Path(out) / f'{name}.parquet')

    def query(lake, statements, queries, out):
        for name, table in tables_of(lake):
            table.createOrReplaceTempView(f'files_of_{name}')
        for statement in statements:
            spark.sql(statement)
        for name, sql in queries.items():
            write(spark.sql(sql), pathlib.Path(out) / f'{name}.parquet')
    return {'read': read, 'query': query}
