"""How texts are read as numbers, identifiers, dates and categories."""
# ruff: noqa: RUF001 - texts with ambiguous characters are what is tested

from datetime import date

import pytest

from veleta.values import decimal_mark, parse_category, parse_date, parse_identifier, parse_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("3", 3.0),
        (" 289900 ", 289900.0),
        ("-2.5e3", -2500.0),
        ("1_000", 1000.0),
        ("٣", 3.0),
        ("５００", 500.0),
        ("١٬٢٣٤٫٥", 1234.5),
        ("1,234", 1234.0),
        ("1,234.5", 1234.5),
        ("1,00,000", 100000.0),
        ("1.234", 1.234),
        ("0,38", 0.38),
        ("0,380", 0.38),
        ("12,5", 12.5),
        ("2,5e3", 2500.0),
        ("1.234.567", 1234567.0),
        ("1.234,56", 1234.56),
        ("289 900", 289900.0),
        ("289\u202f900,50", 289900.5),
        ("1'234'567", 1234567.0),
        ("1’234", 1234.0),
        ("−5", -5.0),
        ("$110,000", 110000.0),
        ("-$5", -5.0),
        ("$-5", -5.0),
        ("US$ 110,000 usd", 110000.0),
        ("289900 USD", 289900.0),
    ],
)
def test_a_number_with_one_meaning_is_read(text: str, number: float) -> None:
    """Here in a column with the unit USD."""
    assert parse_number(text, "USD") == number


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "POA", "from 200k", "200k", "289900 (reduced)", "1 - 2", "1,234,56", "1,23,456,7", "1.2.3", "(5)",
        "5%", "5²", "--5", "+-5", "$", "$$5", "€5", "5 EUR", "nan", "NaN", "inf", "1e999", "0x10", "1,2,3", "12 34",
        "1__0", "٣x",
    ],
)  # fmt: skip
def test_a_number_without_one_meaning_is_no_value(text: str) -> None:
    """Words, ranges, other units, odd groups of digits, and what is not finite."""
    assert parse_number(text, "USD") is None


def test_the_unit_of_the_column_may_stand_beside_a_number() -> None:
    """In any case. Any currency sign is read if the unit is not a known currency."""
    assert parse_number("1,617 Square Feet", "square feet") == 1617.0
    assert parse_number("5 %", "%") == 5.0
    assert parse_number("€5") == parse_number("5 ₺") == parse_number("$5", "US dollars") == 5.0
    assert parse_number("5 kg", "square feet") is None


@pytest.mark.parametrize(("text", "point", "comma"), [("1,234", 1234.0, 1.234), ("1.234", 1.234, 1234.0)])
def test_the_decimal_mark_decides_between_two_meanings(text: str, point: float, comma: float) -> None:
    """If the mark is not known, the text is no number."""
    assert (parse_number(text, mark="."), parse_number(text, mark=","), parse_number(text, mark="")) == (
        point,
        comma,
        None,
    )


@pytest.mark.parametrize("text", ["110000.0", "0,38", "1.234,5", "1,234.5", "7", "1 000"])
def test_the_decimal_mark_does_not_change_a_number_with_one_meaning(text: str) -> None:
    """So a column may mix both ways of writing."""
    assert parse_number(text, mark=".") == parse_number(text, mark=",") == parse_number(text, mark="") is not None


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("0,38", ","),
        ("1.234.567", ","),
        ("1 234,5", ","),
        ("110000.0", "."),
        ("1,234,567", "."),
        ("$1,234.50", "."),
        ("1,234", ""),
        ("1.234", ""),
        ("7", ""),
        ("1 234", ""),
        ("POA", ""),
    ],
)
def test_a_number_can_show_its_decimal_mark(text: str, mark: str) -> None:
    """Only if it has one meaning."""
    assert decimal_mark(text, "USD") == mark


@pytest.mark.parametrize(
    "text", ["06016", "6016", "6016.0", " 6016 ", "06016-1234", "06016–1234", "6,016", "٠٦٠١٦", '="06016"', "'06016"]
)
def test_an_identifier_with_digits_has_leading_zeros_and_an_extension(text: str) -> None:
    """All of these are one ZIP code."""
    assert parse_identifier(text, 5) == 6016.0


@pytest.mark.parametrize("text", ["", "123456", "06016-12", "06016-12345", "6016.5", "-6016", "six", "06016 1234"])
def test_another_text_is_no_identifier_with_five_digits(text: str) -> None:
    """A number with more digits is another kind of identifier."""
    assert parse_identifier(text, 5) is None


def test_an_identifier_without_digits_is_any_whole_number() -> None:
    """An extension has no meaning then."""
    assert parse_identifier("1842706.0") == parse_identifier("1,842,706") == 1842706.0
    assert parse_identifier("06016-1234") is parse_identifier("1.5") is None


@pytest.mark.parametrize(
    "text",
    [
        "1999-09-30", " 1999-09-30 ", "1999/09/30", "1999.09.30", "19990930", "19990930T000000", "1999-09-30 00:00",
        "1999-09-30T00:00:00Z", "1999-09-30 00:00:00.000", "1999-09-30T00:00:00+00:00", "١٩٩٩-٠٩-٣٠",
    ],
)  # fmt: skip
def test_a_date_that_begins_with_the_year_is_read(text: str) -> None:
    """A time of midnight adds nothing."""
    assert parse_date(text) == date(1999, 9, 30)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1999-09",
        "1999-9-30",
        "1999-09/30",
        "1999-02-30",
        "0000-01-01",
        "30.09.1999",
        "09/30/1999",
        "1999-09-30T12:00:00",
        "soon",
    ],
)
def test_another_text_is_no_date(text: str) -> None:
    """Dates of other forms, and those that do not exist."""
    assert parse_date(text) is None


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("for_sale", "for_sale"),
        (" for_sale\u00a0", "for_sale"),
        ("Ma\u006e\u0303on", "Ma\u00f1on"),
        ("Carpet  Area", "Carpet  Area"),
        ("NA", "NA"),
        ("Nan", "Nan"),
        ("", None),
        (" \n", None),
        ("NaN", None),
        (" nan ", None),
    ],
)
def test_a_category_has_one_spelling(text: str, category: str | None) -> None:
    """Spaces around it and Unicode's forms make no difference. Empty and NaN are no category."""
    assert parse_category(text) == category
