"""The notebooks: thin, without outputs; and the words in which two versions are compared."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from support.house import ROOT
from veleta_notebooks.comparison import compare, words
from veleta_notebooks.polling import waited

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def table(**strengths: float) -> pd.DataFrame:
    """Features and how much they move prices."""
    lines = [{"feature": name, "title": name.title(), "mean_abs_shap": value} for name, value in strengths.items()]
    return pd.DataFrame(lines)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs_and_defines_nothing(path: Path) -> None:
    """What it computes is imported, so that it is tested."""
    cells = json.loads(path.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert [(cell["outputs"], cell["execution_count"]) for cell in code] == [([], None)] * len(code)
    assert not [line for cell in code for line in cell["source"] if line.startswith(("def ", "class "))]


def test_there_are_two() -> None:
    """The model in production, and two versions compared."""
    assert [path.name[:2] for path in NOTEBOOKS] == ["01", "02"]


def test_places_and_shares() -> None:
    """Shares are of the whole influence of a version; the greatest rise comes first."""
    found = compare(table(baths=3.0, state=1.0), table(state=6.0, baths=2.0))
    assert found.to_dict("records") == [
        {"feature": "state", "title": "State", "place_old": 2, "place_new": 1, "share_old": 0.25, "share_new": 0.75,
         "moved": 0.5},
        {"feature": "baths", "title": "Baths", "place_old": 1, "place_new": 2, "share_old": 0.75, "share_new": 0.25,
         "moved": -0.5},
    ]  # fmt: skip


def test_the_words_are_made_from_the_numbers() -> None:
    """Who led, who leads, who rose and who fell."""
    found = compare(table(baths=3.0, state=1.0, zip=1.0), table(state=6.0, baths=3.0, zip=1.0))
    assert words(found, "version 1", "version 16") == (
        "Version 1 was led by Baths (60% of all influence), version 16 is led by State (60% of all influence). "
        "State (place 2 with 20.0% to place 1 with 60.0%) rose. "
        "Baths (place 1 with 60.0% to place 2 with 30.0%) and Zip (place 3 with 20.0% to place 3 with 10.0%) fell."
    )


def test_a_version_compared_with_itself() -> None:
    """Nothing moved, and that is said."""
    same = compare(table(baths=3.0, state=1.0), table(baths=3.0, state=1.0))
    assert words(same, "version 2", "version 2").endswith("No feature rose or fell.")


def test_a_column_that_the_old_version_did_not_know() -> None:
    """It rose from nowhere."""
    found = compare(table(baths=1.0), table(baths=1.0, garden=1.0))
    assert "Garden (not known to place 2 with 50.0%) rose." in words(found, "version 1", "version 2")
    assert "Baths (place 1 with 100.0% to place 1 with 50.0%) fell." in words(found, "version 1", "version 2")


def test_what_is_not_there_for_a_moment_is_waited_for() -> None:
    """Between two epochs there are no rows; without any, the wait ends."""
    answers: Iterator[list[int]] = iter([[], [], [3]])
    assert waited(lambda: next(answers), 1) == [3]
    assert waited(list[int], 0.05) == []
