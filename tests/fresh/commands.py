"""Runs the README's commands in the checkout of a machine that has only git, make and python3; prints time and disk.

`python3 tests/fresh/commands.py demo|test ...`. It uses the standard library alone, because nothing is installed yet.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 1800
FOLDERS = (".venv", ".runtime", ".veleta")


def demo() -> None:
    """`make demo` until the README's request gets a price; Ctrl-C then stops it."""
    process = subprocess.Popen(["make", "demo"], cwd=ROOT, start_new_session=True)
    try:
        print(f"price: {_price(process)}", flush=True)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(120)
    _run("make", "clean")  # it fails if a process of the run is left


def test() -> None:
    """`make test` passes."""
    _run("make", "test")


def _run(*command: str) -> None:
    subprocess.run(command, cwd=ROOT, check=True)


def _price(process: "subprocess.Popen[bytes]") -> object:
    """The answer to the README's request, as soon as a model is served."""
    body = re.search(r"/predict -d '(\{.*?\})'", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert body, "README.md has no request"
    request = json.loads(body[1])
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"make demo ended with {process.returncode}"
        try:
            return _post(f"{_inference_url()}/predict", request)
        except OSError:  # not served yet, or .veleta/env does not exist yet
            time.sleep(1)
    raise AssertionError(f"no price within {TIMEOUT_SECONDS} s")


def _inference_url() -> str:
    words = shlex.split((ROOT / ".veleta/env").read_text(encoding="utf-8"))
    return dict(word.split("=", 1) for word in words if "=" in word)["VELETA_INFERENCE_URL"]


def _post(url: str, body: object) -> object:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=10) as response:
        return json.load(response)


def _megabytes() -> dict[str, int]:
    """The size of each folder, and of everything else. A file with two links, as in uv's cache, counts once."""
    folders = [str(ROOT / name) for name in FOLDERS if (ROOT / name).exists()]
    command = ["du", "--summarize", "--one-file-system", "--block-size=1M", *folders, "/"]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    return {Path(path).name or "packages and caches": int(size) for size, path in (line.split("\t") for line in lines)}


COMMANDS: dict[str, Callable[[], None]] = {"demo": demo, "test": test}


def main(names: list[str]) -> None:
    """Run the commands in their order."""
    before = _megabytes()["packages and caches"]
    for name in names:
        began = time.monotonic()
        COMMANDS[name]()
        sizes = _megabytes()
        sizes["packages and caches"] -= before
        used = ", ".join(f"{size} MB {folder}" for folder, size in sizes.items())
        print(f"make {name}: {time.monotonic() - began:.0f} s; disk: {used}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
