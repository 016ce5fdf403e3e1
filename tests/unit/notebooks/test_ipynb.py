"""The notebook files."""

import json
from pathlib import Path

import pytest

from support.repository import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs_and_definitions(path: Path) -> None:
    """Its functions are imported, so that they are tested."""
    cells = json.loads(path.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert [(cell["outputs"], cell["execution_count"]) for cell in code] == [([], None)] * len(code)
    assert not [line for cell in code for line in cell["source"] if line.startswith(("def ", "class "))]


def test_there_are_two_notebooks() -> None:
    """One shows the model in production, the other compares two versions."""
    assert [path.name[:2] for path in NOTEBOOKS] == ["01", "02"]
