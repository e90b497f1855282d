"""Apache Spark with Iceberg's runtime. Arguments: the folder of jars, the namespace of the tables
(empty for the catalog `files`), and the settings of the catalog as JSON."""
import json, pathlib, shutil, sys, tempfile
from pyspark.sql import SparkSession
from engine import metadata_files, serve, spark_actions

jars, namespace, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
builder = SparkSession.builder.master('local[1]')
for key, value in {
    'spark.driver.bindAddress': '127.0.0.1', 'spark.driver.host': '127.0.0.1',
    'spark.driver.extraClassPath': ':'.join(map(str, sorted(pathlib.Path(jars).glob('*.jar')))),
    'spark.driver.memory': '1g', 'spark.sql.shuffle.partitions': '1', 'spark.ui.enabled': 'false',
    'spark.sql.session.timeZone': 'UTC', 'spark.sql.parquet.outputTimestampType': 'TIMESTAMP_MICROS',
    # Each request is about another state of the same tables.
    'spark.sql.catalog.lake.cache-enabled': 'false',
    'spark.sql.catalog.lake': 'org.apache.iceberg.spark.SparkCatalog',
    **{f'spark.sql.catalog.lake.{key}': value for key, value in settings.items()},
}.items():
    builder = builder.config(key, value)
spark = builder.getOrCreate()
spark.sparkContext.setLogLevel('ERROR')


def tables_of(lake):
    if not namespace:
        for name, _ in metadata_files(lake):
            yield name, spark.table(f'lake.`{name}`')
        return
    for row in spark.sql(f'SHOW TABLES IN lake.{namespace}').collect():
        # In REST catalogs, names do not begin with `_`.
        name = {'issues': '_issues'}.get(row.tableName, row.tableName)
        yield name, spark.table(f'lake.{namespace}.{row.tableName}')


def write(rows, out):
    with tempfile.TemporaryDirectory() as folder:
        rows.coalesce(1).write.mode('overwrite').parquet(folder)
        file, = pathlib.Path(folder).glob('part-*.parquet')
        shutil.move(file, out)


serve(**spark_actions(spark, tables_of, write))
