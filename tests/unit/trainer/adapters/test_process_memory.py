"""The memory of a process and of the machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from veleta_trainer.adapters import process_memory
from veleta_trainer.adapters.process_memory import PAGE_BYTES, default_limit, resident_bytes


def test_the_memory_of_a_process_grows_with_what_it_holds() -> None:
    """A process that has ended has none. The process is a new one: this one may have free memory to use again."""
    code = "print(flush=True); input(); held = b'x' * 2**26; print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.readline()
        before = resident_bytes(process.pid)
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        assert resident_bytes(process.pid) >= before + 2**25
    assert resident_bytes(process.pid) == 0


@pytest.mark.parametrize(
    ("limit", "expected"), [("1000000\n", 900_000), ("max\n", None), (None, None), ("9" * 20, None)]
)
def test_the_default_limit_is_most_of_the_memory(
    limit: str | None, expected: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of the container, if it has a limit below the machine's memory."""
    path = tmp_path / "memory.max"
    if limit:
        path.write_text(limit)
    monkeypatch.setattr(process_memory, "CONTAINER_LIMIT", path)
    machine = os.sysconf("SC_PHYS_PAGES") * PAGE_BYTES
    assert default_limit() == (expected or int(0.9 * machine))
