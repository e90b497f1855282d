"""Reads the Iceberg tables of a lake by their folders with Sail, an engine with Spark's interface, and
copies each to a Parquet file. Prints the rows of a query as JSON."""
import json, os, pathlib, sys
out, query, lake, endpoint, key, secret, *tables = sys.argv[1:]
os.environ.update(AWS_ACCESS_KEY_ID=key, AWS_SECRET_ACCESS_KEY=secret, AWS_REGION='us-east-1',
                  AWS_ENDPOINT=endpoint, AWS_ALLOW_HTTP='true')
# They read the environment when they are imported.
from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession
import pyarrow.parquet
server = SparkConnectServer('127.0.0.1', 0)
server.start(background=True)
spark = SparkSession.builder.remote(f'sc://127.0.0.1:{server.listening_address[1]}').getOrCreate()
spark.conf.set('spark.sql.session.timeZone', 'UTC')
for name in tables:
    table = spark.read.format('iceberg').load(f'{lake}/_iceberg/{name}')
    table.createOrReplaceTempView(name)
    pyarrow.parquet.write_table(table.toArrow(), pathlib.Path(out) / f'{name}.parquet')
print(json.dumps([list(row) for row in spark.sql(query).collect()]))
