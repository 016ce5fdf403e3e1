"""Every kind of change of a dataset file after a run has begun, and what must follow from it."""

from collections.abc import Sequence
from dataclasses import dataclass

from veleta.dataset import Dataset, load_dataset, parse_dataset


@dataclass(frozen=True)
class Change:
    """Replacements of text in the file of real_estate.

    `job_refuses` is in the line with which the job `prepare` refuses the change. `model_refuses` is in the line with
    which an old champion is refused. Where both are empty, the change works.
    """

    edits: Sequence[tuple[str, str]]
    job_refuses: str = ""
    model_refuses: str = ""

    def text(self, before: str) -> str:
        """The changed text of a file."""
        for old, new in self.edits:
            assert before.count(old) == 1, old
            before = before.replace(old, new)
        return before

    def dataset(self) -> Dataset:
        """The changed real_estate."""
        return parse_dataset(self.text(load_dataset("real_estate").text))


_LOT = '[[columns]]\nname = "acre_lot"\ntitle = "Lot"\nunit = "acres"\nkind = "number"\nminimum = 0\n\n'
_BEDROOMS = 'title = "Bedrooms"\nkind = "number"'
_GARAGE = '[[columns]]\nname = "garage"\ntitle = "Garage"\nkind = "number"\n\n[cleaning]\n'

CHANGES = {
    "bounds": Change([("bath = [1, 30]", "bath = [1, 20]")]),
    "minimum": Change([(f"{_BEDROOMS}\nminimum = 0", f"{_BEDROOMS}\nminimum = 1")]),
    "identity": Change([('identity = ["street", "city", "state", "zip_code"]', 'identity = ["street", "zip_code"]')]),
    "target title": Change([('title = "Price"', 'title = "Asking price"')]),
    "column title": Change([('title = "Bedrooms"', 'title = "Beds"')]),
    "drift ignore, more": Change([('ignore = ["zip_code", "street"]', 'ignore = ["zip_code", "street", "bed"]')]),
    "drift ignore, less": Change([('ignore = ["zip_code", "street"]', 'ignore = ["zip_code"]')]),
    "digits": Change(
        [("digits = 5", "digits = 6")], model_refuses="zip_code had digits = 5, now 6; [places] had digits = 5, now 6"
    ),
    "prefix": Change([("prefix = 3", "prefix = 2")], model_refuses="zip_code had prefix = 3, now 2"),
    "kind, same type": Change(
        [(_BEDROOMS, 'title = "Bedrooms"\nkind = "identifier"')], model_refuses="bed is no feature now"
    ),
    "unit": Change(
        [('unit = "square feet"', 'unit = "m2"')], model_refuses="house_size had unit = square feet, now m2"
    ),
    "unit of the target": Change([('unit = "USD"', 'unit = "EUR"')], model_refuses="price had unit = USD, now EUR"),
    "feature left out": Change(
        [('title = "Status"\n', 'title = "Status"\nfeature = "none"\n')], model_refuses="status is no feature now"
    ),
    "places left out": Change(
        [('[places]\ntable = "us_zip"\nkey = "zip_code"\ncity = "city"\nstate = "state"\n', "")],
        model_refuses="[places] is left out now",
    ),
    "places without cities": Change(
        [('city = "city"\n', "")],
        model_refuses="[places] had city = city, now none",
    ),
    "target": Change(
        [('target = "price"', 'target = "bath"')],
        model_refuses="bath is no feature now; the target was price, now bath",
    ),
    "column removed": Change(
        [(_LOT, ""), ("acre_lot = [0, 1_000]\n", ""), ("acre_lot = 0.38\n", "")],
        job_refuses="acre_lot is in the table but not declared",
        model_refuses="acre_lot is no feature now",
    ),
    "retyped": Change(
        [
            (f"{_BEDROOMS}\nminimum = 0", 'title = "Bedrooms"\nkind = "category"'),
            ("bed = [1, 30]\n", ""),
            ("bed = 4.0", 'bed = "4"'),
        ],
        job_refuses="bed is double in the table but declared as varchar",
        model_refuses="bed had kind = number, now category",
    ),
    "column added": Change([("[cleaning]\n", _GARAGE), ("[example]\n", "[example]\ngarage = 1.0\n")]),
}
"""By kind of change. The last one cannot be undone: a column stays in the tables."""
