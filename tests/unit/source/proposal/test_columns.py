"""What a column is, by its cells."""

from collections.abc import Sequence

import numpy as np
import pytest

from veleta_source.proposal.cells import Cells
from veleta_source.proposal.columns import Proposal, file_mark, propose_column, propose_target

WORDS = ("oak", "elm", "ash", "fir")


def cells(texts: Sequence[str], header: str = "value", rows: int = 0) -> Cells:
    """A column with these texts, repeated up to so many rows."""
    all_texts = [texts[i % len(texts)] for i in range(rows or len(texts))]
    known: dict[str, int] = {}
    codes = [known.setdefault(text, len(known)) for text in all_texts]
    return Cells(header, 0, list(known), np.array(codes), len(known))


def proposed(texts: Sequence[str], header: str = "value", rows: int = 0, *, day_first: bool = True) -> Proposal:
    """The proposal for a column with these texts, in a file with decimal points."""
    return propose_column(cells(texts, header, rows), ".", day_first=day_first, is_unique_header=True)


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["1", "2.5", "-3"], "number"),
        (["1,234", "12,345"], "number"),
        (["$ 1,234", "12,345 €"], "number"),
        (["0", "1"], "number"),
        (["yes", "No"], "boolean"),
        (["t", "f"], "boolean"),
        (["Y", "N", "NA"], "boolean"),
        (["true", "false", "maybe"], "category"),
        (["2014-10-13", "2014-11-13"], "date"),
        (["20141013", "20141113"], "date"),
        (["20141013T000000", "20141113T000000"], "date"),
        (["13/02/2016", "4/02/2016"], "date"),
        (["Gd", "NA", "Ex"], "category"),
    ],
)
def test_the_kind_follows_from_the_values(texts: list[str], kind: str) -> None:
    """Numbers, dates and pairs of yes and no. Other texts are categories."""
    found = proposed(texts, rows=60)
    assert (found.kind, found.left_out) == (kind, "")


def test_other_texts_among_numbers_count_as_missing() -> None:
    """Their share is a reason, with an example."""
    found = proposed(["7", "9", "8", "5", "6"] * 19 + ["1056 - 1200", "", "", "NA", "4"], "Total Area")
    assert (found.kind, found.optional, found.missing) == ("number", True, ["NA"])
    gaps = "3.0 % have no value ('NA'), 1.0 % have another text, as '1056 - 1200': both count as missing"
    assert found.reasons == [
        "6 different numbers from 4 to 9, median 7",
        f"96 of 100 rows have a number; {gaps}",
    ]


def test_numbers_in_fewer_than_nine_tenths_of_the_rows_are_texts() -> None:
    """A column of words with some numbers is a category."""
    assert proposed(["1", "2", "3", *WORDS], rows=70).kind == "category"


def test_na_is_a_value_of_a_category() -> None:
    """The reason says how to change that. An empty cell is missing."""
    found = proposed(["NA", "NA", "Pave", "Grvl", ""], rows=100)
    assert (found.kind, found.missing, found.optional) == ("category", [], True)
    assert set(found.values) == {"NA", "Pave", "Grvl", None}
    assert found.reasons == [
        "3 values; the most frequent is 'NA' (50.0 %)",
        "'NA' (40.0 %) is a value of its own, not a missing one: missing = ['NA'] and optional = true change that",
        "80 of 100 rows have a text; 20.0 % have no value",
    ]


def test_a_unit_beside_all_numbers_is_that_of_the_column() -> None:
    """A street number with the name of the street is none."""
    found = proposed([f"{i} sqft" for i in range(20, 40)], rows=60)
    assert (found.kind, found.unit, found.values[0]) == ("number", "sqft", 20.0)
    assert proposed(["1 Some St", "2 Some St"], rows=60).kind == "category"


@pytest.mark.parametrize(
    ("header", "texts", "digits", "prefix"),
    [
        ("zipcode", ["98178", "98125", "98028"], 5, 5),
        ("PLZ", ["01067", "80331"], 5, 5),
        ("Postcode", ["3067.0", "3068.0"], 4, 4),
        ("MS SubClass", ["020", "060"], 3, 3),
        ("zip", [f"{i:05}" for i in range(90_000, 90_600)], 5, 4),
    ],
)
def test_a_code_is_an_identifier_with_digits(header: str, texts: list[str], digits: int, prefix: int) -> None:
    """By its header or its leading zeros. The model uses as many digits as have enough rows."""
    found = proposed(texts, header, rows=1800)
    assert (found.kind, found.feature, found.digits, found.prefix) == ("identifier", "prefix", digits, prefix)


@pytest.mark.parametrize("header", ["id", "Parcel Number", "houseId", "PROPERTYID", "mls_no"])
def test_a_number_that_names_things_is_not_learnt(header: str) -> None:
    """By its header, if its values are mostly different. A count has a header such as "number of rooms"."""
    texts = [str(7129300520 + i * i) for i in range(90)]
    found = proposed(texts, header, rows=100)
    assert (found.kind, found.is_feature, found.is_id) == ("identifier", False, True)
    assert proposed([str(i) for i in range(5)], header, rows=100).kind == "number"
    assert proposed(texts, "number of rooms").kind == "number"


def test_a_long_id_keeps_its_digits() -> None:
    """A float has 15 of them, so it is a text."""
    found = proposed([f"{10**17 + i * i}" for i in range(50)], "id")
    assert (found.kind, found.feature, found.values[1]) == ("category", "none", "100000000000000001")
    assert proposed([f"LT-{i * i}" for i in range(50)], "serial").is_id


def test_an_address_is_not_learnt_but_identifies() -> None:
    """Two values of a column with such a header are a category."""
    found = proposed([f"{i} Hill Rd" for i in range(50)], "Address")
    assert (found.kind, found.feature, found.is_address, found.is_id) == ("category", "none", True, False)
    assert proposed(["Pave", "Grvl"], "Street", rows=50).is_feature


@pytest.mark.parametrize(
    ("header", "texts", "reason"),
    [
        ("", [str(i) for i in range(1, 51)], "it has no header; it counts the rows from 1 to 50"),
        ("", ["x"] * 50, "it has no header; 1 different value in 50 rows, as 'x'"),
        ("Order", [str(i) for i in range(1, 51)], "an index: it counts the rows from 1 to 50"),
        ("id", [str(i) for i in reversed(range(50))], "an index: it counts the rows from 0 to 49"),
        ("a", ["AllPub"] * 50, "one value only: 'AllPub'"),
        ("a", [""] * 50, "no row has a value"),
        ("a", ["1", "2", *[""] * 50], "96.2 % of the rows have no value"),
        ("a", ["1", "2", *["NA"] * 50], "96.2 % of the rows have no value"),
        ("a", [f"more words {i}" for i in range(50)], "a free text, as 'more words 0': 50 different values in 50 rows"),
        ("a", ["x" * 300, "y"] * 25, f"a free text, as '{'x' * 39}…': 2 different values in 50 rows"),
    ],
)  # fmt: skip
def test_a_column_without_use_is_left_out(header: str, texts: list[str], reason: str) -> None:
    """With the reason and figures."""
    assert proposed(texts, header).left_out.startswith(reason)


def test_years_are_no_index() -> None:
    """Although each is there once, without gaps."""
    assert proposed([str(i) for i in range(1950, 2000)], "year").kind == "number"


def test_a_header_that_is_there_twice_is_left_out() -> None:
    """A start could not tell the columns apart."""
    found = propose_column(cells(["1", "2"]), ".", day_first=True, is_unique_header=False)
    assert found.left_out == "its header is there more than once"


def test_a_doubt_about_day_and_month_is_said() -> None:
    """With the other format. A value above 12 leaves no doubt."""
    found = proposed(["4/03/2016", "5/04/2016"], rows=60)
    assert (found.form.text, found.reasons[1:]) == (
        "%d/%m/%Y",
        [
            "UNDECIDED: no value shows whether the day or the month is first, as '4/03/2016'",
            'if the other is right: format = "%m/%d/%Y"',
        ],
    )
    assert proposed(["4/03/2016", "5/04/2016"], rows=60, day_first=False).form.text == "%m/%d/%Y"
    assert proposed(["4/03/2016", "5/24/2016"], rows=60).reasons[1:] == ["the month is first, as '5/24/2016' shows"]


def test_the_file_has_a_decimal_comma_if_all_numbers_show_one() -> None:
    """Then `1,234` of a column that shows none is 1.234."""
    comma, none, words = cells(["0,38", "1,5"]), cells(["1,234", "2,345"]), cells([*WORDS, "1.5"])
    assert file_mark([comma, none, words]) == ","
    assert file_mark([comma, cells(["0.38", "1.5"])]) == "."
    assert file_mark([none]) == "."


def test_the_target_is_a_number_whatever_its_values() -> None:
    """Its header may be that of an id, and its values may count up."""
    found = propose_target(cells([str(i) for i in range(1, 51)], "id"), ".")
    assert (found.kind, found.left_out) == ("number", "")
