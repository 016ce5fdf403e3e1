"""What a client may send, and how it is told what is wrong with it."""

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import chain, islice
from typing import Annotated, Any, NotRequired, TypedDict

import msgspec

from veleta.dataset import MAX_TEXT, Column, Dataset, Values
from veleta.errors import Reject

MAX_FAULTS = 20
"""So many faults are listed: enough to mend a client by, and a bound to the work a bad request makes."""
MAX_NAME = 64
"""Characters of an unknown field's name that are compared and shown."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: in which item (from 0), in which field (None: in the item as a whole), and what."""

    item: int
    field: str | None
    message: str


class Unreadable(Reject):
    """The body is no JSON text, or one that can be read in two ways."""


class Invalid(Reject):
    """The body is JSON, but no request for predictions; `faults` lists what is wrong with its items."""

    def __init__(self, detail: str, faults: list[Fault]) -> None:
        super().__init__("the request is not valid", detail)
        self.detail = detail
        self.faults = faults


class Reader:
    """Reads the bodies of requests for predictions: decoded and checked in one step, as nearly all of them pass it.

    What does not goes through `parse` and `rows`, which know every fault by its name.
    """

    def __init__(self, dataset: Dataset, limit: int) -> None:
        """A request may have `limit` items."""
        self.limit = limit
        self._dataset = dataset
        target = dataset.by_name[dataset.target]
        fields = {**{column.name: _type(column) for column in dataset.inputs}, target.name: NotRequired[_type(target)]}
        item: Any = TypedDict("Item", fields)  # type: ignore[misc]  # a type made of what the dataset file says
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(item | list[item])

    def read(self, body: bytes, most: int | None = None) -> list[Values]:
        """The typed rows that a request asks with; it may have `most` items, if that is less.

        Raises:
            Unreadable, Invalid: see `parse` and `rows`.
        """
        try:
            said = self._decoder.decode(body)
        except (ValueError, RecursionError):  # DecodeError is a ValueError, and UTF-8 has one of its own
            return self.rows(parse(body), most)
        items: list[Values] = said if isinstance(said, list) else [said]
        # The decoder takes the last of two values with one name, and passes over names that it does not know. A colon
        # more than names is one of these, or stands in a text.
        if not 0 < len(items) <= self._most(most) or body.count(b":") != sum(map(len, items)):
            return self.rows(parse(body), most)
        for item in items:
            item.setdefault(self._dataset.target, None)
        return items

    def rows(self, said: object, most: int | None = None) -> list[Values]:
        """The same of a body that was decoded already. Raises Invalid."""
        return rows(self._dataset, said, self._most(most))

    def _most(self, most: int | None) -> int:
        return min(self.limit, most or self.limit)


def parse(body: bytes) -> object:
    """What a body says. NaN and infinities are read, though they are no JSON, so that `rows` can name their field.

    Raises:
        Unreadable: it is not JSON in UTF-8, or an object has two values with one name.
    """
    try:
        said = json.loads(body.decode(), parse_int=float, object_pairs_hook=_unique)
        json.dumps(said, ensure_ascii=False).encode()  # half a surrogate pair is no character, and fits no table
    except (ValueError, RecursionError) as error:
        raise Unreadable("the body is not JSON in UTF-8", str(error)[:200]) from error
    return said


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict[str, object]()
    for name, value in pairs:
        if name in found:
            raise Unreadable("two values with one name", name[:MAX_NAME])
        found[name] = value
    return found


def _type(column: Column) -> Any:
    """What the decoder takes for a column: the same that `Column.convert` takes."""
    if column.numeric:
        return Annotated[float, msgspec.Meta(ge=column.minimum)]
    return date if column.kind == "date" else Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]


def rows(dataset: Dataset, said: object, limit: int) -> list[Values]:
    """The typed rows that a request asks with: one object, or a list of up to `limit`.

    All columns but the target must be there; the target may be.

    Raises:
        Invalid: with all faults, MAX_FAULTS at most.
    """
    items: list[Any] = said if isinstance(said, list) else [said]
    if not items:
        raise Invalid("the list is empty", [])
    if len(items) > limit:
        raise Invalid(f"{len(items)} items; one request may have {limit}", [])
    found = (fault for place, item in enumerate(items) for fault in _faults(dataset, place, item))
    if faults := list(islice(found, MAX_FAULTS)):
        raise Invalid("see `errors`", faults)
    return [dataset.convert(item)[0] for item in items]


def _faults(dataset: Dataset, place: int, item: object) -> Iterator[Fault]:
    if not isinstance(item, dict):
        yield Fault(place, None, "must be an object")
        return
    missing = (Fault(place, c.name, "is required") for c in dataset.inputs if c.name not in item)
    fields = (_fault(dataset, place, name, value) for name, value in item.items())
    yield from chain(missing, (fault for fault in fields if fault))


def _fault(dataset: Dataset, place: int, name: str, value: object) -> Fault | None:
    column = dataset.by_name.get(name)
    if column is None:
        return Fault(place, name[:MAX_NAME], _unknown(dataset, name[:MAX_NAME]))
    typed = column.convert(value)
    if typed is None:
        return Fault(place, name, "must not be null" if value is None else _wanted(column))
    if column.minimum is not None and isinstance(typed, float) and typed < column.minimum:
        return Fault(place, name, f"must be at least {column.minimum:g}")
    return None


def _unknown(dataset: Dataset, name: str) -> str:
    near = difflib.get_close_matches(name.strip().lower(), dataset.names, n=1)
    return f"is not known; did you mean {near[0]}?" if near else "is not known"


def _wanted(column: Column) -> str:
    if column.numeric:
        return "must be a finite number"
    return "must be a date as 1999-09-30" if column.kind == "date" else f"must be text of up to {MAX_TEXT} characters"
