"""The memory of a process and of the machine."""

import os
from pathlib import Path

import pytest

from veleta_trainer.adapters import process_memory
from veleta_trainer.adapters.process_memory import PAGE_BYTES, default_limit, resident_bytes


def test_the_memory_of_a_process_grows_with_what_it_holds() -> None:
    """A process that has ended has none."""
    before = resident_bytes(os.getpid())
    held = b"x" * 2**26
    assert resident_bytes(os.getpid()) >= before + len(held) // 2
    assert resident_bytes(2**22 + 1) == 0


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
