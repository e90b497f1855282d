"""Loads a lake into warehouses with the printed scripts, and compares all rows with the lake after
every load: PostgreSQL, Snowflake (fakesnow) and ClickHouse (chDB). Parses the scripts for the engines
that cannot be run here.

Usage: warehouses.py PROGRAM [ENGINE…]

PROGRAM is the built `armature-export`. It exports from its own simulator, over loopback."""
import contextlib, glob, json, os, pathlib, pwd, shutil, signal, socket, subprocess, sys, tempfile, time
import duckdb

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TABLES = ['runs', 'spans', 'tool_calls', 'evaluations', 'criteria', 'excerpts', 'documents', '_issues',
          'open_runs', 'workflows', 'mcp_servers']
COLUMN = '''
[[columns]]
table = "runs"
name = "workflow_label"
kind = "text"
sources = ["workflow.name", "workflow_name", "workflowName"]
'''
CONFIGURATION = '''
[sync]
evaluation_grace_secs = 1
[compact]
closed_after_secs = 0
grace_secs = 0
[duckdb]
enabled = false
'''


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Export:
    """The program with its simulator, in a folder of its own."""

    def __init__(self, program, folder):
        self.program, self.folder, self.lake = program, folder, folder / 'lake'
        port = free_port()
        self.simulator = subprocess.Popen(
            [program, '--quiet', 'simulate', '--port', str(port), '--runs', '400', '--days', '6',
             '--seconds-between-runs', '0'], stdout=subprocess.DEVNULL)
        self.environment = {**os.environ, 'ARMATURE_API_KEY': 'amt_test_key',
                            'ARMATURE_API_URL': f'http://127.0.0.1:{port}/api/armature/v1'}
        self.configure('')
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(('127.0.0.1', port), 1):
                return
            time.sleep(0.1)
        raise SystemExit('the simulator did not start')

    def close(self):
        self.simulator.send_signal(signal.SIGTERM)
        self.simulator.wait()

    def configure(self, more):
        (self.folder / 'armature-export.toml').write_text(CONFIGURATION + more)

    def run(self, *arguments, accepted=(0,)):
        ran = subprocess.run([self.program, *arguments], cwd=self.folder, env=self.environment, text=True,
                             capture_output=True)
        if ran.returncode not in accepted:
            raise SystemExit(f'{arguments}: exit {ran.returncode}\n{ran.stderr}')
        return ran.stdout

    def runs(self):
        return json.loads(self.run('status', '--output', 'json'))['rows'].get('runs', 0)

    def sync(self):
        """Exports about 75 more runs, the newest first: a day and a few hours of the simulator's six
        days, so that most days have runs of two syncs."""
        before = self.runs() if self.lake.exists() else 0
        # 3: the budget was spent.
        self.run('sync', '--max-requests', '320', accepted=(0, 3))
        if self.runs() == before:
            raise SystemExit('a sync brought no runs')

    def compact(self):
        """Merges the files of closed days: some hold rows of several syncs afterwards."""
        if json.loads(self.run('compact', '--output', 'json'))['commits'] == 0:
            raise SystemExit('nothing was merged')


class Engine:
    def __init__(self, name, python, export, folder, environment=None):
        self.name, self.python, self.export = name, python, export
        self.folder = folder / name
        self.folder.mkdir()
        self.script = HERE / 'engines' / f'run_{name}.py'
        self.environment = {**os.environ, 'LAKE': str(export.lake), **(environment or {})}
        self.previous, self.commit, self.loads = None, '0', 0

    def command(self, action, *arguments):
        return [self.python, self.script, self.folder / 'state', action, *arguments]

    def call(self, action, *arguments, code=0):
        ran = subprocess.run(self.command(action, *arguments), env=self.environment, text=True,
                             capture_output=True)
        if ran.returncode != code:
            raise SystemExit(f'{self.name} {action}: exit {ran.returncode}\n{ran.stdout}{ran.stderr}')
        return ran.stdout + ran.stderr

    def define(self):
        script = self.folder / 'definitions.sql'
        script.write_text(self.export.run('schema', '--format', self.name))
        self.call('define' if self.name == 'postgres' else 'run', script)

    def load_script(self, since):
        changes = self.folder / 'changes.json'
        changes.write_text(self.export.run('changes', '--since', since))
        script = self.folder / 'load.sql'
        script.write_text(self.export.run('schema', '--format', self.name, '--load', str(changes)))
        changes = json.loads(changes.read_text())
        return script, f"{changes['commit']}:{changes['commit_name']}"

    def load(self):
        script, commit = self.load_script(self.commit)
        self.call('run', script)
        self.previous, self.commit, self.loads = self.commit, commit, self.loads + 1
        self.compare()
        # The same load again changes nothing.
        self.call('run', script)
        self.compare()

    def refuse(self):
        """A load of changes after an earlier commit than the last one fails and changes nothing."""
        script, _ = self.load_script(self.previous)
        before = self.exported('before')
        self.failed(self.call('run', script, code=1))
        self.same(before, self.exported('after'))

    def failed(self, output):
        if 'the load is not recorded' not in output:
            raise SystemExit(f'{self.name}: a load did not fail as it should:\n{output}')

    def go_on(self):
        """A client that goes on after an error changes nothing, if a file cannot be read."""
        script, _ = self.load_script(self.commit)
        text = script.read_text()
        file = next(it for it in glob.glob(f'{self.export.lake}/spans/**/*.parquet', recursive=True)
                    if os.path.basename(it) in text)
        before = self.exported('before')
        os.rename(file, f'{file}.hidden')
        self.failed(self.call('go-on', script))
        os.rename(f'{file}.hidden', file)
        self.same(before, self.exported('after'))

    def wait(self):
        """Of two loads at the same time, the second one waits for the first, and changes nothing."""
        script, _ = self.load_script(self.commit)
        text = script.read_text()
        last = text[:text.index('COMMIT;\n')].count(';\n')
        pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE, 'text': True}
        first = subprocess.Popen(self.command('pause', script, str(last)), env=self.environment, **pipes)
        if first.stdout.readline() != 'paused\n':
            raise SystemExit(f'{self.name}: the first load failed')
        second = subprocess.Popen(self.command('run', script), env=self.environment)
        while not self.call('waiting').startswith('1'):
            if second.poll() is not None:
                raise SystemExit(f'{self.name}: the second load did not wait')
            time.sleep(0.1)
        first.communicate('\n')
        if first.returncode or second.wait():
            raise SystemExit(f'{self.name}: a load failed')

    def exported(self, name):
        out = self.folder / name
        out.mkdir(exist_ok=True)
        self.call('export', out, *TABLES)
        return out

    def same(self, before, after):
        for table in TABLES:
            one, two = (f"read_parquet('{it}/{table}.parquet')" for it in (before, after))
            for a, b in ((one, two), (two, one)):
                if duckdb.sql(f'SELECT 1 FROM (FROM {a} EXCEPT ALL FROM {b}) LIMIT 1').fetchall():
                    raise SystemExit(f'{self.name} {table}: a load that failed changed rows')

    def kill(self):
        """Ends a load after each third of its statements, and again in the middle of the replacement
        of rows."""
        script, _ = self.load_script(self.commit)
        text = script.read_text()
        total = text.count(';\n')
        first_delete = text[:text.index('DELETE FROM')].count(';\n')
        for most in sorted({total // 3, first_delete + 1, first_delete + 4}):
            self.call('run', script, str(most), code=9)

    def compare(self):
        out = self.exported('out')
        database = duckdb.connect()
        database.execute("SET TimeZone = 'UTC'")
        compared = 0
        for table in TABLES:
            found = f"read_parquet('{out}/{table}.parquet')"
            entry = json.loads(self.export.run('schema', table, '--format', 'json'))[0]
            columns = [(column['name'], column['duckdb_type']) for column in entry['columns']]
            # Whatever type the engine exports, the value is that of the lake.
            cast = ', '.join(f'CAST("{name}" AS {kind}) AS "{name}"' for name, kind in columns)
            files = glob.glob(f'{self.export.lake}/{table}/**/*.parquet', recursive=True)
            nulls = ', '.join(f'NULL::{kind} AS "{name}"' for name, kind in columns)
            lake = f'(SELECT {nulls} WHERE false'
            if files:
                lake += (f" UNION ALL BY NAME FROM read_parquet({files!r}, union_by_name = true, "
                         'hive_partitioning = false)')
            lake = f'SELECT {cast} FROM {lake})'
            found = f'SELECT {cast} FROM {found}'
            rows = database.execute(f'SELECT count(*) FROM ({lake})').fetchone()[0]
            for what, a, b in (('missing', lake, found), ('too many', found, lake)):
                wrong = database.execute(f'SELECT * FROM ({a}) EXCEPT ALL SELECT * FROM ({b}) LIMIT 1')
                wrong = wrong.fetchall()
                if wrong:
                    raise SystemExit(f'{self.name} {table}: rows {what}, such as {str(wrong[0])[:500]}')
            compared += rows
        print(f'{self.name}: load {self.loads}, commit {self.commit}, {compared} rows are equal', flush=True)


class PostgresServer:
    """A server of its own in a temporary folder, by a user who is not root, on a Unix socket."""

    def __init__(self, folder):
        programs = sorted(glob.glob('/usr/lib/postgresql/*/bin')) + os.environ['PATH'].split(':')
        self.programs = next((it for it in programs if os.access(f'{it}/initdb', os.X_OK)), None)
        if self.programs is None:
            raise SystemExit('PostgreSQL is needed: install the package `postgresql`')
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='armature-postgres-'))
        self.user = None
        if os.geteuid() == 0:
            names = [it.pw_name for it in pwd.getpwall()]
            self.user = 'postgres' if 'postgres' in names else 'nobody'
            shutil.chown(self.folder, self.user)
        self.environment = {'PGHOST': str(self.folder), 'PGUSER': 'armature', 'PGDATABASE': 'postgres'}
        self.run('initdb', '--username=armature', '--auth=trust', '--encoding=UTF8', f'{self.folder}/data')
        options = f"-c listen_addresses='' -k {self.folder} -c fsync=off"
        self.run('pg_ctl', 'start', '--wait', '-D', f'{self.folder}/data', '-o', options,
                 '-l', f'{self.folder}/log')
        self.run('createdb', '-h', str(self.folder), '-U', 'armature', 'armature')
        self.environment['PGDATABASE'] = 'armature'

    def run(self, program, *arguments):
        command = [f'{self.programs}/{program}', *arguments]
        if self.user:
            command = ['runuser', '-u', self.user, '--', *command]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd='/')

    def close(self):
        self.run('pg_ctl', 'stop', '--mode=fast', '-D', f'{self.folder}/data')
        shutil.rmtree(self.folder)


def parse(export, folder):
    """Parses the scripts of engines that cannot be run here, of lakes where these can read them."""
    changes = export.run('changes', '--since', '1')
    for name, lake in (('bigquery', 'gs://bucket/lake'), ('redshift', 's3://bucket/lake'),
                       ('databricks', 's3://bucket/lake'), ('snowflake', 's3://bucket/lake')):
        definitions, load, file = (folder / f'{name}-{it}' for it in ('definitions.sql', 'load.sql', 'c.json'))
        definitions.write_text(export.run('schema', '--format', name))
        file.write_text(changes.replace(str(export.lake), lake))
        load.write_text(export.run('schema', '--format', name, '--load', str(file)))
        subprocess.run([ROOT / '.fakesnow/bin/python', HERE / 'engines' / 'parse_scripts.py', name, definitions, load],
                       check=True)


def main():
    program, *names = sys.argv[1:]
    names = names or ['postgres', 'snowflake', 'clickhouse', 'parse']
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        export = Export(str(pathlib.Path(program).resolve()), folder)
        stack.callback(export.close)
        export.sync()
        engines = []
        if 'postgres' in names:
            server = PostgresServer(folder)
            stack.callback(server.close)
            engines.append(Engine('postgres', ROOT / '.postgres/bin/python', export, folder,
                                  server.environment))
        if 'snowflake' in names:
            engines.append(Engine('snowflake', ROOT / '.fakesnow/bin/python', export, folder))
        if 'clickhouse' in names:
            engines.append(Engine('clickhouse', ROOT / '.clickhouse/bin/python', export, folder))
        for engine in engines:
            engine.define()
            engine.load()
        for stage in ('killed', 'compacted', 'added column', 'replayed'):
            if stage == 'added column':
                export.configure(COLUMN)
            if stage == 'replayed':
                export.run('replay')
            else:
                export.sync()
            if stage == 'compacted':
                export.compact()
            for engine in engines:
                print(f'{engine.name}: {stage}', flush=True)
                if stage == 'added column':
                    engine.define()
                if stage == 'killed':
                    engine.kill()
                    engine.go_on()
                    if engine.name == 'postgres':
                        engine.wait()
                elif engine.previous != '0':
                    engine.refuse()
                engine.load()
        if 'parse' in names:
            parse(export, folder)


main()
