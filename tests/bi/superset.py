"""Imports the dashboard of bi/superset into a new Superset over the demo's DuckDB file, opens it in
Chromium, and compares what it shows with the views. Superset listens on loopback, and keeps what it
knows in a temporary folder.

Usage: superset.py PROGRAM SUPERSET PICTURE

PROGRAM is the built `armature-export`, SUPERSET a Python environment with apache-superset,
duckdb-engine and duckdb. NODE_PATH names the folder with playwright-core."""
import contextlib, json, os, pathlib, secrets, shutil, socket, subprocess, sys, tempfile, time
import urllib.request
import duckdb, yaml

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = HERE.parent.parent / 'bi' / 'superset' / 'armature'
PROGRAM, SUPERSET, PICTURE = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])


def run(*command, **options):
    ran = subprocess.run([str(part) for part in command], text=True, capture_output=True, **options)
    if ran.returncode != 0:
        raise SystemExit(f'{command}: exit {ran.returncode}\n{ran.stdout}\n{ran.stderr}')
    return ran.stdout


def check_columns():
    """Each dataset has the columns of its view, in order, and each chart uses columns and metrics that
    its dataset has."""
    views = json.loads(run(PROGRAM, 'schema', '--metrics', '--format', 'json'))['views']
    columns = {view['name']: [column['name'] for column in view['columns']] for view in views}
    known = {}
    for path in sorted(PACKAGE.glob('datasets/armature/*.yaml')):
        dataset = yaml.safe_load(path.read_text())
        found = [column['column_name'] for column in dataset['columns']]
        assert found == columns[dataset['table_name']], f'{path} has other columns than the view'
        known[dataset['uuid']] = set(found), {metric['metric_name'] for metric in dataset['metrics']}
    for path in PACKAGE.glob('charts/*.yaml'):
        chart = yaml.safe_load(path.read_text())
        names, metrics = known[chart['dataset_uuid']]
        params = chart['params']
        used = set(params.get('all_columns', [])) | set(params.get('groupby', []))
        used |= {params['x_axis']} if 'x_axis' in params else set()
        assert used <= names, f'{path}: {used - names}'
        used = set(params.get('metrics', [])) | ({params['metric']} if 'metric' in params else set())
        assert used <= metrics, f'{path}: {used - metrics}'


def zipped(folder, database):
    """The files as Superset imports them, with the path of the database."""
    package = folder / 'package' / 'armature'
    shutil.copytree(PACKAGE, package)
    path = package / 'databases' / 'armature.yaml'
    connection = yaml.safe_load(path.read_text())
    connection['sqlalchemy_uri'] = f'duckdb:///{database}'
    path.write_text(yaml.safe_dump(connection))
    return shutil.make_archive(str(folder / 'dashboard'), 'zip', package.parent, 'armature')


def see(texts, database):
    """Every figure of the first row and every row of the table of versions is that of the views."""
    file = duckdb.connect(str(database), read_only=True)
    runs, rate, cost = file.execute('SELECT sum(runs), 100 * sum(passed) / sum(decided), sum(cost) '
                                    'FROM workflow_daily').fetchone()
    shown = {text.split('\n')[0]: text.split('\n')[1:] for text in texts}
    for title, expected in [('Runs', f'{runs:,.0f}'), ('Pass rate', f'{rate:.1f}%'), ('Cost', f'{cost:,.2f}')]:
        assert shown[title][0] == expected, f'{title}: {shown[title]}, not {expected}'
    versions = file.execute(
        "SELECT workflow_name, workflow_version, printf('%.1f%%', 100 * pass_rate), "
        "printf('%+.1f%%', 100 * pass_rate_change), comparison FROM workflow_versions WHERE is_latest").fetchall()
    rows = [line.split('\t') for line in shown['Latest version of each workflow'] if line.count('\t') > 5]
    found = [(row[0], row[1], row[4], row[8], row[9]) for row in rows]
    expected = [tuple('N/A' if value is None else value for value in row) for row in versions]
    assert sorted(found) == sorted(expected), f'{sorted(found)}, not {sorted(expected)}'
    print(f'{runs:.0f} runs and {len(rows)} versions: the dashboard shows the figures of the views')


@contextlib.contextmanager
def server(environment, folder):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    with open(folder / 'server.log', 'w', encoding='utf-8') as log:
        process = subprocess.Popen([SUPERSET / 'bin' / 'superset', 'run', '--host', '127.0.0.1', '--port', str(port),
                                    '--with-threads'], env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        address = f'http://127.0.0.1:{port}'
        for _ in range(300):
            with contextlib.suppress(OSError), urllib.request.urlopen(f'{address}/health', timeout=5):
                break
            time.sleep(0.5)
        else:
            raise SystemExit(f"Superset did not start:\n{(folder / 'server.log').read_text()}")
        yield address
    finally:
        process.terminate()
        process.wait()


def main():
    check_columns()
    with tempfile.TemporaryDirectory(prefix='armature-superset-') as folder:
        folder = pathlib.Path(folder)
        run(PROGRAM, 'demo', cwd=folder)
        database = folder / 'armature-demo' / 'armature.duckdb'
        password = secrets.token_urlsafe(16)
        (folder / 'superset_config.py').write_text(
            f"SECRET_KEY = '{secrets.token_urlsafe(42)}'\n"
            f"SQLALCHEMY_DATABASE_URI = 'sqlite:///{folder}/superset.db'\n"
            # A file on the machine of the server: not for a Superset of many users.
            'PREVENT_UNSAFE_DB_CONNECTIONS = False\nTALISMAN_ENABLED = False\n')
        environment = {**os.environ, 'SUPERSET_CONFIG_PATH': str(folder / 'superset_config.py'),
                       'FLASK_APP': 'superset', 'SCARF_ANALYTICS': 'false', 'SUPERSET_HOME': str(folder)}
        superset = SUPERSET / 'bin' / 'superset'
        for arguments in [
            ['db', 'upgrade'],
            ['fab', 'create-admin', '--username', 'admin', '--firstname', 'a', '--lastname', 'a', '--email',
             'admin@localhost', '--password', password],
            ['init'],
            ['import-dashboards', '--path', zipped(folder, database), '--username', 'admin'],
        ]:
            run(superset, *arguments, env=environment, cwd=folder)
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        with server(environment, folder) as address:
            texts = json.loads(run('node', HERE / 'superset.cjs', address, 'admin', password, PICTURE))
        see(texts, database)
        print(f'a picture is in {PICTURE}')


main()
