"""Measures POST /predict of this version beside that of an earlier commit, with wrk, one window each in turn.

Each version runs from a checkout of its own with its own libraries, servers and model. The arguments are the file for
the table and the commit.
"""

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path

from bench.__main__ import CONNECTIONS, NAMES, WARM_SECONDS, WINDOWS, Subject, window
from support.testbed import wait_until

ROOT = Path(__file__).resolve().parents[2]
SERVE_SECONDS = 900
"""Until a version must serve: its trainer fits a model first."""
WINDOW_SECONDS = 4
HEAD = """| connections | server | before, requests/s | now, requests/s | ratio |
|---|---|---|---|---|"""

Rates = dict[tuple[int, str], list[tuple[float, float]]]
"""By connections and server: requests per second of neighbouring windows, before and now."""


def main(report: Path, commit: str) -> None:
    """Measure, print and write the table."""
    if not shutil.which("wrk"):
        sys.exit("bench: wrk is missing: apt-get install wrk")
    with tempfile.TemporaryDirectory(prefix="veleta-before-") as folder, ExitStack() as stack:
        before = check_out(commit, Path(folder) / "before")
        served = [
            stack.enter_context(serving(root, Path(folder) / f"{name}.json"))
            for name, root in (("before", before), ("now", ROOT))
        ]
        text = table(measure(*served))
    report.write_text(text)
    print(text)


def check_out(commit: str, folder: Path) -> Path:
    """A clone at the commit, with its libraries."""
    subprocess.run(["git", "clone", "--quiet", "--no-checkout", str(ROOT), str(folder)], check=True)
    subprocess.run(["git", "-C", str(folder), "checkout", "--quiet", commit], check=True)
    for arguments in ([], ["tests"]):
        subprocess.run(["compose/local/install.sh", *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder


@contextmanager
def serving(root: Path, addresses: Path) -> Iterator[Mapping[str, Subject]]:
    """Run `bench.serve` in a checkout. Yields its servers by configuration."""
    command = [str(root / ".venv/bin/python"), str(Path(__file__).with_name("serve.py")), str(addresses)]
    environment = {**os.environ, "PYTHONPATH": str(root / "tests")}
    process = subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: addresses.exists() or process.poll() is not None, SERVE_SECONDS, f"{root.name} serves")
        if process.returncode is not None:
            sys.exit(f"bench: {root.name} does not serve: see above")
        served = json.loads(addresses.read_text())
        yield {name: Subject(name, url, Path(served["body"])) for name, url in served["urls"].items()}
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)


def measure(before: Mapping[str, Subject], now: Mapping[str, Subject]) -> Rates:
    """Measure both versions of each server in neighbouring windows."""
    rates: Rates = {}
    for connections, name in product(CONNECTIONS, now):
        pair = before[name], now[name]
        for subject in pair:
            window(subject, connections, WARM_SECONDS)
        for _ in range(WINDOWS):
            old, new = (window(subject, connections, WINDOW_SECONDS).rate for subject in pair)
            rates.setdefault((connections, name), []).append((old, new))
            print(".", end="", flush=True)
    print()
    return rates


def table(rates: Mapping[tuple[int, str], Sequence[tuple[float, float]]]) -> str:
    """The medians of the windows, and the median of the ratios of neighbouring ones."""
    lines = [HEAD]
    for (connections, name), pairs in rates.items():
        old, new = (statistics.median(each) for each in zip(*pairs, strict=True))
        ratio = statistics.median(now / before for before, now in pairs)
        lines.append(f"| {connections} | {NAMES[name]} | {old:,.0f} | {new:,.0f} | {ratio:.2f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
