"""Builds the dbt package on DuckDB and PostgreSQL, and compares every metric of every view in all
rows: the views of the DuckDB file, the views of `schema --format sql` over the Parquet files, dbt on
DuckDB, dbt on PostgreSQL. Then breaks the loaded tables, and sees the package's tests fail. Renders
the models for the engines that cannot be run here, without a connection, and parses their SQL.

Usage: dbt.py PROGRAM DBT WAREHOUSES

PROGRAM is the built `armature-export`; it exports from its own simulator, over loopback. DBT is a
Python environment with dbt-duckdb, dbt-postgres, duckdb and sqlglot, WAREHOUSES one with dbt's
adapters of the other engines."""
import contextlib, datetime, decimal, glob, json, math, os, pathlib, pwd, shutil, signal, socket, subprocess
import sys, tempfile, time
import duckdb, psycopg2, sqlglot

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM, DBT, WAREHOUSES = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
# Floating-point numbers are the same up to this share of their size: engines add numbers in different
# orders, and compute logarithms with different libraries.
TOLERANCE = 1e-9

# Runs whose evaluation comes late or that change later, so that they have several revisions; runs that
# stay open, that state no known status, or that never get an evaluation; redacted arguments. The clock
# steps make hours pass in each sync, and the list changes while it is read.
FAULTS = '''
[world]
runs = 500
days = 10.0
seconds_between_runs = 600.0
late_evaluation_percent = 40
late_evaluation_seconds = 3600.0
[world.lives]
long_open_percent = 3
never_evaluated_percent = 5
unknown_status_percent = 5
changed_percent = 50
changed_seconds = 43200.0
redacted_percent = 20
[faults.list]
clock_step_seconds = 3600
'''

KINDS = {'text': 'text', 'json': 'text', 'integer': 'bigint', 'float': 'double precision',
         'decimal': 'numeric(38, 18)', 'boolean': 'boolean', 'timestamp': 'timestamptz', 'date': 'date'}


def run(*command, accepted=(0,), **options):
    ran = subprocess.run([str(part) for part in command], text=True, capture_output=True, **options)
    if ran.returncode not in accepted:
        raise SystemExit(f'{command}: exit {ran.returncode}\n{ran.stdout}\n{ran.stderr}')
    return ran.stdout


@contextlib.contextmanager
def simulator(folder):
    """A simulator; gives the variables by which the program finds it."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    (folder / 'faults.toml').write_text(FAULTS)
    process = subprocess.Popen([PROGRAM, '--quiet', 'simulate', '--port', str(port), '--faults',
                                folder / 'faults.toml'], stdout=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(('127.0.0.1', port), 1):
                break
            time.sleep(0.1)
        else:
            raise SystemExit('the simulator did not start')
        yield {**os.environ, 'ARMATURE_API_KEY': 'amt_test_key',
               'ARMATURE_API_URL': f'http://127.0.0.1:{port}/api/armature/v1'}
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def export(folder):
    """A lake and its DuckDB file, after several syncs."""
    with simulator(folder) as environment:
        for _ in range(4):
            # 3: a list that changes while it is read can be uncertified.
            run(PROGRAM, 'sync', '--lake', 'lake', '--duckdb', 'armature.duckdb', cwd=folder, env=environment,
                accepted=(0, 3))


def server_user():
    """The user who runs the server, which refuses to run as root; none if this user can."""
    return pwd.getpwnam('postgres') if os.getuid() == 0 else None


@contextlib.contextmanager
def postgresql(folder):
    """A PostgreSQL server on a socket in a folder, with an order of text and a time zone that are not
    those of DuckDB."""
    programs = sorted(glob.glob('/usr/lib/postgresql/*/bin/initdb'))
    programs = pathlib.Path(programs[-1] if programs else shutil.which('initdb')).parent
    user = server_user()
    identity = {'user': user.pw_uid, 'group': user.pw_gid, 'extra_groups': []} if user else {}
    if user:
        os.chown(folder, user.pw_uid, user.pw_gid)
    data = folder / 'data'
    run(programs / 'initdb', '--pgdata', data, '--username', 'armature', '--encoding', 'UTF8',
        '--locale-provider', 'icu', '--icu-locale', 'en-US', '--auth', 'trust', cwd=folder, **identity)
    options = f"-k {folder} -c listen_addresses='' -c fsync=off -c timezone=America/New_York"
    run(programs / 'pg_ctl', '--pgdata', data, '--options', options, '--log', folder / 'log', '--wait',
        'start', cwd=folder, **identity)
    try:
        yield psycopg2.connect(host=str(folder), user='armature', dbname='postgres')
    finally:
        run(programs / 'pg_ctl', '--pgdata', data, '--mode', 'immediate', 'stop', cwd=folder, **identity)


def load(connection, folder):
    """Loads the tables of the lake into the schema `armature`: all revisions, as a warehouse has them.
    The tables of the commit log come from the DuckDB file."""
    database = duckdb.connect()
    database.execute(f"ATTACH '{folder}/armature.duckdb' AS file (READ_ONLY)")
    dictionary = json.loads(run(PROGRAM, 'schema', '--format', 'json', cwd=folder))
    cursor = connection.cursor()
    cursor.execute('CREATE SCHEMA armature')
    for table in dictionary:
        name = table['table']
        columns = [(column['name'], column['kind'], column['duckdb_type']) for column in table['columns']]
        declared = ', '.join(f'"{column}" {KINDS[kind]}' for column, kind, _ in columns)
        cursor.execute(f'CREATE TABLE armature."{name}" ({declared})')
        nothing = ', '.join(f'NULL::{kind} AS "{column}"' for column, _, kind in columns)
        sources = [f'SELECT {nothing} WHERE false']
        if table['write'] == 'commit log':
            sources.append(f'FROM file."{name}"')
        elif glob.glob(f'{folder}/lake/{name}/**/*.parquet', recursive=True):
            sources.append(f"FROM read_parquet('{folder}/lake/{name}/**/*.parquet', union_by_name = true, "
                           'hive_partitioning = false)')
        rows = folder / 'rows.csv'
        database.execute(f"COPY ({' UNION ALL BY NAME '.join(sources)}) TO '{rows}' "
                         "(FORMAT csv, HEADER false, NULLSTR '\\N', FORCE_QUOTE *)")
        with open(rows, encoding='utf-8') as text:
            cursor.copy_expert(f"COPY armature.\"{name}\" FROM STDIN (FORMAT csv, NULL '\\N')", text)
    connection.commit()


PROFILES = '''
armature:
  target: duckdb
  outputs:
    duckdb:
      type: duckdb
      path: {folder}/dbt.duckdb
      attach: [{{path: {folder}/armature.duckdb, alias: armature, read_only: true}}]
      threads: 2
    postgres:
      {{type: postgres, host: {socket}, user: armature, password: none, port: 5432, dbname: postgres,
        schema: marts, threads: 2}}
    snowflake:
      {{type: snowflake, account: nowhere, user: nobody, password: none, database: analytics, schema: marts,
        warehouse: none, threads: 1}}
    bigquery:
      {{type: bigquery, method: oauth-secrets, token: none, project: nowhere, dataset: marts, threads: 1}}
    redshift:
      {{type: redshift, host: 127.0.0.1, port: 1, user: nobody, password: none, dbname: analytics,
        schema: marts, threads: 1}}
    databricks:
      {{type: databricks, host: 127.0.0.1, http_path: /none, token: none, catalog: analytics, schema: marts,
        threads: 1}}
'''


def dbt(environment, folder, target, command, *arguments, commit_log=True, accepted=(0,)):
    variables = json.dumps({'armature_commit_log': commit_log})
    # Warnings are errors: deprecated words in the package would be seen first by its users.
    return run(environment / 'bin' / 'dbt', '--warn-error', command, *arguments, '--project-dir',
               ROOT / 'dbt', '--profiles-dir', folder, '--target', target, '--vars', variables, '--target-path',
               folder / f'target-{target}', '--log-path', folder / 'logs', accepted=accepted,
               env={**os.environ, 'DBT_SEND_ANONYMOUS_USAGE_STATS': 'false'})


def comparable(value):
    if isinstance(value, decimal.Decimal):
        # Exact, whatever the number of zeros at the end.
        return value.normalize()
    if isinstance(value, datetime.datetime):
        assert value.tzinfo is None, 'times of views have no zone'
    return value


def is_same(one, other):
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return type(one) is type(other) and one == other


def rows(cursor, relation, view):
    """The rows of a view, in the order of their keys."""
    columns = [column['name'] for column in view['columns']]
    cursor.execute(f"SELECT {', '.join(columns)} FROM {relation}")
    places = [columns.index(key) for key in view['key']]
    found = [tuple(comparable(value) for value in row) for row in cursor.fetchall()]
    return sorted(found, key=lambda row: [(row[place] is None, str(row[place])) for place in places])


def compare(view, expected, found, where):
    name = view['name']
    if len(expected) != len(found):
        raise SystemExit(f'{name} in {where}: {len(found)} rows, not {len(expected)}')
    for one, other in zip(expected, found):
        for column, value, seen in zip(view['columns'], one, other):
            if not is_same(value, seen):
                raise SystemExit(f"{name}.{column['name']} in {where}: {seen!r}, not {value!r}, in {one}")
    return sum(len(row) for row in found)


def compare_views(views, folder, connection):
    file = duckdb.connect()
    file.execute(f"SET TimeZone = 'UTC'; ATTACH '{folder}/armature.duckdb' AS file (READ_ONLY)")
    file.execute(f"ATTACH '{folder}/dbt.duckdb' AS dbt (READ_ONLY)")
    # In the memory of the session.
    file.execute(run(PROGRAM, 'schema', '--format', 'sql', '--lake', 'lake', cwd=folder))
    values = 0
    for view in views:
        expected = rows(file, f"file.{view['name']}", view)
        assert expected, f"{view['name']} has no rows to compare"
        for where, cursor, relation in [
            ('the SQL for the Parquet files', file, f"memory.main.{view['name']}"),
            ('dbt on DuckDB', file, f"dbt.main.{view['name']}"),
            ('dbt on PostgreSQL', connection.cursor(), f"marts.{view['name']}"),
        ]:
            values += compare(view, expected, rows(cursor, relation, view), where)
    connection.rollback()
    print(f'{len(views)} views, {values} values: the same in the DuckDB file, over the Parquet files, in dbt '
          'on DuckDB and in dbt on PostgreSQL')


# What breaks the tables, and the test that fails then.
DAMAGE = [
    ('tool_calls_are_complete',
     'DELETE FROM armature.tool_calls WHERE ctid IN (SELECT min(t.ctid) FROM armature.tool_calls t '
     'JOIN marts.run_facts r ON r.run_id = t.run_id)'),
    ('spans_are_complete', 'DELETE FROM armature.spans'),
    ('unique_key_stg_armature__runs',
     'INSERT INTO armature.runs SELECT * FROM armature.runs ORDER BY _revision DESC LIMIT 1'),
    ('not_null_armature_criteria_criterion_id', 'UPDATE armature.criteria SET criterion_id = NULL'),
    ('relationships_armature_evaluations',
     "INSERT INTO armature.evaluations (run_id, _revision) VALUES ('nowhere', 1)"),
    ('outcomes_add_up', "DELETE FROM marts.run_facts WHERE workflow_key IS NOT NULL; "
                        "UPDATE marts.workflow_daily SET errors = errors + 1"),
]


def see_tests_fail(folder, connection):
    for test, statement in DAMAGE:
        cursor = connection.cursor()
        for part in statement.split('; '):
            cursor.execute(part)
            assert cursor.rowcount > 0, f'{part}: nothing to break'
        connection.commit()
        output = dbt(DBT, folder, 'postgres', 'test', '--exclude', 'test_type:unit', accepted=(1,))
        failed = [line for line in output.splitlines() if 'FAIL' in line and test in line]
        assert failed, f'{test} does not fail:\n{output}'
    print(f'{len(DAMAGE)} tests of the package fail where the tables are wrong')


def parse_others(folder):
    for target in ('snowflake', 'bigquery', 'redshift', 'databricks'):
        dbt(WAREHOUSES, folder, target, 'compile', '--no-introspect', '--no-populate-cache')
        compiled = sorted((folder / f'target-{target}' / 'compiled' / 'armature').rglob('*.sql'))
        # What is made of tests is below the file that names them.
        models = [path for path in compiled if path.parent.name in ('staging', 'marts')]
        assert len(models) == 27, f'{target}: {models}'
        for path in compiled:
            parsed = sqlglot.parse_one(path.read_text(), read=target)
            assert isinstance(parsed, sqlglot.exp.Query), f'{path} is not a query'
        print(f'{target}: {len(models)} models and {len(compiled) - len(models)} tests rendered and parsed')


def main():
    with tempfile.TemporaryDirectory(prefix='armature-dbt-') as folder, \
            tempfile.TemporaryDirectory(prefix='armature-pg-') as socket_folder:
        folder, socket_folder = pathlib.Path(folder), pathlib.Path(socket_folder)
        (folder / 'profiles.yml').write_text(PROFILES.format(folder=folder, socket=socket_folder))
        export(folder)
        views = json.loads(run(PROGRAM, 'schema', '--metrics', '--format', 'json', cwd=folder))['views']
        with postgresql(socket_folder) as connection:
            load(connection, folder)
            cursor = connection.cursor()
            cursor.execute('SELECT count(*), count(DISTINCT run_id) FROM armature.runs')
            revisions, runs = cursor.fetchone()
            assert revisions > runs, 'no run has several revisions'
            connection.commit()
            print(f'{runs} runs in {revisions} revisions')
            for target in ('duckdb', 'postgres'):
                output = dbt(DBT, folder, target, 'build')
                print(f'{target}:', output.strip().splitlines()[-1].split('Done. ')[-1])
            compare_views(views, folder, connection)
            see_tests_fail(folder, connection)
            connection.close()
        parse_others(folder)


main()
