"""fakesnow, a simulation of Snowflake: runs a script, or exports tables to Parquet files.

Usage: run_snowflake.py STATE run SCRIPT [STATEMENTS]
       run_snowflake.py STATE go-on SCRIPT
       run_snowflake.py STATE export FOLDER TABLE…

With STATEMENTS, the process ends after as many statements, as a killed process would. `go-on` prints
errors, and goes on. The variable LAKE is the root of the lake, which
the stage ARMATURE_LAKE reads."""
import os, re, sys
import fakesnow, pyarrow, pyarrow.parquet
import snowflake.connector

state, action, *arguments = sys.argv[1:]
os.makedirs(state, exist_ok=True)


def statements(path):
    with open(path, encoding='utf-8') as script:
        lines = [line for line in script if not line.startswith('--')]
    # A semicolon at the end of a line ends a statement: no text has a line break.
    return [text.strip() for text in ''.join(lines).split(';\n') if text.strip()]


with fakesnow.patch(db_path=state):
    connection = snowflake.connector.connect(database='ARMATURE', schema='PUBLIC')
    cursor = connection.cursor()
    cursor.execute(f"CREATE STAGE IF NOT EXISTS \"ARMATURE_LAKE\" URL = 'file://{os.environ['LAKE']}/'")
    if action in ('run', 'go-on'):
        most = int(arguments[1]) if len(arguments) > 1 else None
        for number, statement in enumerate(statements(arguments[0])):
            if number == most:
                os._exit(9)
            # fakesnow fails at an apostrophe in the comment of a table.
            statement = re.sub(r"\) COMMENT = '.*'$", ')', statement)
            # Nor does it copy files into temporary tables.
            statement = statement.replace('CREATE OR REPLACE TEMP TABLE', 'CREATE OR REPLACE TABLE')
            try:
                cursor.execute(statement)
            except Exception as error:
                if action != 'go-on':
                    sys.exit(f'{error}\nin: {statement[:2000]}')
                print(error)
    else:
        for table in arguments[1:]:
            cursor.execute(f'SELECT * FROM "{table.upper()}"')
            names = [column.name for column in cursor.description]
            columns = list(zip(*cursor.fetchall())) or [[] for _ in names]
            rows = pyarrow.table([pyarrow.array(column) for column in columns], names)
            pyarrow.parquet.write_table(rows, f'{arguments[0]}/{table}.parquet')
    connection.close()
