"""Serves a model with two configurations of inference until SIGTERM, and writes their addresses to a file.

`bench.versions` runs this file in the checkout of each version. So it uses only functions that earlier versions have.
"""

import json
import signal
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

from bench.__main__ import PYTHON, server, testbed, train
from support.testbed import free_port

ended = threading.Event()


def main(addresses: Path) -> None:
    """Serve, and write a JSON object: the address of POST /predict by configuration, and the file with the body."""
    with testbed() as made, ExitStack() as stack:
        train(made)
        body = made.folder / "row.json"
        body.write_text(json.dumps({column.name: made.dataset.example[column.name] for column in made.dataset.inputs}))
        stored = stack.enter_context(
            made.service("inference", "inference", journal=made.folder / "journal", journal_sync="group")
        )
        stored.wait_until_ready()
        settings = made.environment("inference", "inference", journal=made.folder / "none")
        command = [PYTHON, "-m", "bench.no_journal"]
        alone = stack.enter_context(server(made, "without", command, settings, free_port()))
        urls = {"group": f"{stored.url}/predict", "without": f"{alone}/predict"}
        written = addresses.with_suffix(".part")
        written.write_text(json.dumps({"urls": urls, "body": str(body)}))
        written.rename(addresses)
        ended.wait()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    main(Path(sys.argv[1]))
