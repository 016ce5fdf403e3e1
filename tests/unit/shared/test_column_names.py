"""Names of columns in files and APIs."""

import pytest

from veleta.column_names import match_columns
from veleta.dataset import load_dataset

DATASET = load_dataset("real_estate")


@pytest.mark.parametrize("name", ["zip_code", "ZIP_CODE", "zipCode", "Zip-Code", " zip code "])
def test_a_name_matches_whatever_its_case_spaces_and_hyphens(name: str) -> None:
    """Letters and digits decide."""
    assert match_columns(DATASET, ["x", name]) == {"zip_code": [1]}


def test_the_own_name_takes_precedence_over_the_title() -> None:
    """A title matches if no name does; every match is returned."""
    title = DATASET.by_name["acre_lot"].title
    assert match_columns(DATASET, [title]) == {"acre_lot": [0]}
    assert match_columns(DATASET, [title, "acre_lot", "ACRE_LOT"]) == {"acre_lot": [1, 2]}


def test_a_declared_header_is_matched_first_and_to_the_letter() -> None:
    """Two columns of a file may differ only in case or signs."""
    columns = [
        DATASET.by_name["bed"].model_copy(update={"header": "Rooms (main)"}),
        DATASET.by_name["bath"].model_copy(update={"name": "rooms", "title": "x", "header": "rooms main"}),
    ]
    dataset = DATASET.model_copy(update={"columns": columns})
    assert match_columns(dataset, ["rooms main", " Rooms (main) "]) == {"bed": [1], "rooms": [0]}
    assert match_columns(dataset, ["ROOMS"]) == {"rooms": [0]}
