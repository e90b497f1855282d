"""ClickHouse, as a library (chDB): runs a script, or exports tables to Parquet files.

Usage: run_clickhouse.py STATE run SCRIPT [STATEMENTS]
       run_clickhouse.py STATE go-on SCRIPT
       run_clickhouse.py STATE export FOLDER TABLE…

With STATEMENTS, the process ends after as many statements, as a killed process would. `go-on` prints
errors, and goes on."""
import os, sys
from chdb import session

state, action, *arguments = sys.argv[1:]
database = session.Session(state)


def statements(path):
    with open(path, encoding='utf-8') as script:
        lines = [line for line in script if not line.startswith('--')]
    # A semicolon at the end of a line ends a statement: no text has a line break.
    return [text.strip() for text in ''.join(lines).split(';\n') if text.strip()]


if action in ('run', 'go-on'):
    most = int(arguments[1]) if len(arguments) > 1 else None
    for number, statement in enumerate(statements(arguments[0])):
        if number == most:
            os._exit(9)
        try:
            database.query(statement)
        except Exception as error:
            if action != 'go-on':
                sys.exit(str(error))
            print(error)
else:
    for table in arguments[1:]:
        out = f'{arguments[0]}/{table}.parquet'
        database.query(f"SELECT * FROM \"{table}\" INTO OUTFILE '{out}' TRUNCATE FORMAT Parquet "
                       'SETTINGS output_format_parquet_string_as_string = 1')
database.close()
