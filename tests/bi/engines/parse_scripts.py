"""Parses scripts with sqlglot. Fails if a statement is not understood.

Usage: parse_scripts.py DIALECT SCRIPT…"""
import logging, sys
import sqlglot
from sqlglot import exp

logging.disable(logging.WARNING)
dialect, *scripts = sys.argv[1:]
# Statements that sqlglot keeps as text.
TEXT_ONLY = ('LOAD DATA', 'COPY INTO', 'CREATE STAGE', 'INSERT INTO', 'LOCK', 'BEGIN', 'COMMIT')
for script in scripts:
    with open(script, encoding='utf-8') as text:
        # sqlglot does not know the clause for temporary tables.
        sql = text.read().replace('LOAD DATA OVERWRITE TEMP TABLE', 'LOAD DATA OVERWRITE')
        parsed = [it for it in sqlglot.parse(sql, dialect=dialect) if it]
    for statement in parsed:
        if isinstance(statement, exp.Command):
            command = statement.sql(dialect=dialect)
            if not command.upper().startswith(TEXT_ONLY):
                sys.exit(f'{script}: not understood: {command[:300]}')
    commands = sum(isinstance(it, exp.Command) for it in parsed)
    print(f'{dialect}: {len(parsed)} statements, {commands} of them as text only')
