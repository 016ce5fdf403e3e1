"""Tools of others read a run as docs/how-to/other-tools.md shows."""

import re
import shlex
import subprocess
import sys

from support.records import message
from support.repository import ROOT
from support.testbed import Testbed
from veleta.topics import topic
from veleta_local.deployment import mysql_clients
from veleta_local.files import export_lines

PAGE = ROOT / "docs/how-to/other-tools.md"


def run(testbed: Testbed, heading: str, more: str = "") -> str:
    """The output of the script below a heading of the page, with the names of this testbed, after `. .veleta/env`."""
    login = testbed.mysql("requests_reader")
    mysql = mysql_clients(login.host, login.port, login.user, login.password.get_secret_value())
    env, script = testbed.folder / "env", testbed.folder / "my.py"
    env.write_text(export_lines({"VELETA_KAFKA": testbed.anonymous.bootstrap, **mysql}))
    section = PAGE.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    block = section.partition("```python\n")[2].partition("```")[0]
    block = re.sub(r"\b(PIPELINE|RAW_DATA)\b", rf"{testbed.prefix}\1", block)
    script.write_text(block.replace("real_estate", testbed.dataset.name) + more)
    command = shlex.join(["exec", sys.executable, str(script)])
    command = f". {shlex.quote(str(env))} && {command}"
    done = subprocess.run(["/bin/sh", "-c", command], env={}, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_pandas_reads_tables(testbed: Testbed) -> None:
    """The URL needs no change, and its user may read every table, the requests too."""
    assert "epoch" in run(testbed, "pandas and SQLAlchemy")


def test_asynchronous_clients_read_tables(testbed: Testbed) -> None:
    """Their URL names another driver."""
    script = """
import asyncio
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

async def rows():
    engine = create_async_engine(os.environ["VELETA_MYSQL_ASYNC_URL"])
    async with engine.connect() as connection:
        print((await connection.execute(sa.text("SELECT 'asynchronous'"))).scalar())
    await engine.dispose()

asyncio.run(rows())
"""
    assert "asynchronous" in run(testbed, "pandas and SQLAlchemy", script)


def test_pymysql_reads_tables(testbed: Testbed) -> None:
    """It takes no URL, but its parts."""
    assert run(testbed, "PyMySQL") == "()\n"


def test_kafka_python_reads_topics(testbed: Testbed) -> None:
    """Its own consumer, with the packages that the page names."""
    name = topic(testbed.dataset.name, "drift")
    testbed.log.publish([message(name, value=b'{"verdict": "drift"}')])
    assert run(testbed, "kafka-python") == "0 {'verdict': 'drift'}\n"
