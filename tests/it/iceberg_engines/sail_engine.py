"""Sail, an engine of its own with Spark's interface. It reads a table by its folder."""
import pyarrow.parquet
from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession
from engine import metadata_files, serve, spark_actions

server = SparkConnectServer('127.0.0.1', 0)
server.start(background=True)
spark = SparkSession.builder.remote(f'sc://127.0.0.1:{server.listening_address[1]}').getOrCreate()
spark.conf.set('spark.sql.session.timeZone', 'UTC')


def tables_of(lake):
    for name, metadata in metadata_files(lake):
        yield name, spark.read.format('iceberg').load(str(metadata.parent.parent))


def write(rows, out):
    pyarrow.parquet.write_table(rows.toArrow(), out)


serve(**spark_actions(spark, tables_of, write))
