"""PostgreSQL: runs a script of definitions with psql, a load in DuckDB, or exports tables to Parquet
files. The variables PGHOST, PGUSER and PGDATABASE name the database.

Usage: run_postgres.py STATE define SCRIPT
       run_postgres.py STATE run SCRIPT [STATEMENTS]
       run_postgres.py STATE go-on SCRIPT
       run_postgres.py STATE pause SCRIPT STATEMENTS
       run_postgres.py STATE waiting
       run_postgres.py STATE export FOLDER TABLE…

With STATEMENTS, `run` ends after as many statements, as a killed process would, and `pause` waits for
a line on stdin. `go-on` prints errors, and goes on. `waiting` prints how many statements wait for a lock."""
import importlib.util, os, pathlib, subprocess, sys
import duckdb

_, action, *arguments = sys.argv[1:]


def statements(path):
    with open(path, encoding='utf-8') as script:
        lines = [line for line in script if not line.startswith('--')]
    # A semicolon at the end of a line ends a statement: no text has a line break.
    return [text.strip() for text in ''.join(lines).split(';\n') if text.strip()]


def connect():
    database = duckdb.connect()
    package = pathlib.Path(importlib.util.find_spec('duckdb_extension_postgres_scanner').origin).parent
    extension, = package.glob('extensions/*/*.duckdb_extension')
    database.execute(f"LOAD '{extension}'")
    return database


if action == 'define':
    subprocess.run(['psql', '--quiet', '--no-psqlrc', '--set', 'ON_ERROR_STOP=1', '--file', arguments[0]],
                   check=True)
elif action == 'waiting':
    # How many statements wait for a lock.
    sql = 'SELECT count(*) FROM pg_locks WHERE NOT granted'
    subprocess.run(['psql', '--no-psqlrc', '--tuples-only', '--no-align', '--command', sql], check=True)
elif action in ('run', 'go-on', 'pause'):
    database = connect()
    limit = int(arguments[1]) if len(arguments) > 1 else None
    most, pause = (None, limit) if action == 'pause' else (limit, None)
    for number, statement in enumerate(statements(arguments[0])):
        if number == most:
            os._exit(9)
        if number == pause:
            print('paused', flush=True)
            sys.stdin.readline()
        # The extension comes from a package: nothing is fetched.
        if statement in ('INSTALL postgres', 'LOAD postgres'):
            continue
        try:
            database.execute(statement)
        except duckdb.Error as error:
            if action != 'go-on':
                sys.exit(str(error))
            print(error)
else:
    database = connect()
    database.execute("ATTACH '' AS warehouse (TYPE postgres, READ_ONLY)")
    for table in arguments[1:]:
        out = f'{arguments[0]}/{table}.parquet'
        database.execute(f"COPY (FROM warehouse.\"{table}\") TO '{out}' (FORMAT parquet)")
