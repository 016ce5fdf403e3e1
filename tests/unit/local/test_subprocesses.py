"""The output of a tool."""

from pathlib import Path

import pytest

from veleta_local import subprocesses
from veleta_local.errors import LocalError


def test_each_line_of_output_arrives_at_once(tmp_path: Path) -> None:
    """A carriage return ends a line too. The reason of a failure is the first error."""
    script = r"printf 'one\rtwo\n[ERROR] no network\nhelp\n'; exit 3"
    lines: list[str] = []
    with pytest.raises(LocalError, match=r"^it did not work: no network$"):
        subprocesses.run_with_lines(["/bin/sh", "-c", script], "it did not work", folder=tmp_path, on_line=lines.append)
    assert [line.strip() for line in lines] == ["one", "two", "[ERROR] no network", "help"]
