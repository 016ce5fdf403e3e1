"""The rows of a request: their types, and the checks that name every problem."""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from itertools import islice
from typing import Annotated, Any

import msgspec

from veleta.column_names import column_key
from veleta.dataset import MAX_TEXT, Column, Dataset, Values
from veleta.values import parse_category
from veleta_inference.domain import forms, messages
from veleta_inference.domain.errors import MAX_NAME, MAX_PROBLEMS, InvalidRequest, ValidationProblem
from veleta_inference.domain.json_body import parse_json
from veleta_inference.domain.served_market import AS_OF, NO_MARKET


def item_type(dataset: Dataset) -> Any:
    """The type of an item. Unknown names are forbidden.

    Columns that are optional, or that the model does not use, may be absent (UNSET) or null. The target may be absent.
    With a market there may be a day in addition, AS_OF.
    """
    target = dataset.by_name[dataset.target]
    fields: list[Any] = [
        (c.name, _value_type(c)) if c.required else (c.name, _value_type(c) | None | msgspec.UnsetType, msgspec.UNSET)
        for c in dataset.inputs
    ]
    fields.append((target.name, _value_type(target), None))
    if dataset.market:
        day = Annotated[date, msgspec.Meta(description="the day whose prices are asked for: the same in all items")]
        fields.append((AS_OF, day | None | msgspec.UnsetType, msgspec.UNSET))
    return msgspec.defstruct("Item", fields, forbid_unknown_fields=True, kw_only=True)


def list_type(item: Any, limit: int) -> Any:
    """The type of a list of 1 to `limit` items."""
    return Annotated[list[item], msgspec.Meta(min_length=1, max_length=limit)]


def _value_type(column: Column) -> Any:
    """The values that a request may have, from the column's minimum on. An identifier with `digits` may be text."""
    title, unit = column.title, column.unit or None
    if column.numeric:
        number = Annotated[float, msgspec.Meta(ge=column.minimum, title=title, description=unit)]
        return number | Annotated[str, msgspec.Meta(pattern=_digits_pattern(column))] if _has_digits(column) else number
    if column.kind == "boolean":
        return Annotated[bool, msgspec.Meta(title=title, description=unit)]
    if column.kind == "date":
        return Annotated[date, msgspec.Meta(title=title, description=unit)]
    return Annotated[str, msgspec.Meta(max_length=MAX_TEXT, pattern=r"\S", title=title, description=unit)]


def _has_digits(column: Column) -> bool:
    """Whether a request may have this number as text: its leading zeros are part of the name."""
    return column.kind == "identifier" and column.digits > 0


def _digits_pattern(column: Column) -> str:
    """An identifier as text, as 06016 or 06016-1234."""
    return rf"^ *[0-9]{{1,{column.digits}}}(-[0-9]{{4}})? *$"


class RequestReader:
    """Decodes and checks bodies: one item, or a list of up to `limit` items.

    A valid body is decoded and checked in one step by msgspec. Any other body is read again by `parse_json` and
    `convert`, which are slower and name every problem.
    """

    def __init__(self, dataset: Dataset, limit: int) -> None:
        self.dataset = dataset
        self.limit = limit
        item = item_type(dataset)
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(item | list_type(item, limit))
        self._categories = [(c.name, _parser(c)) for c in dataset.inputs if c.kind == "category"]
        self._identifiers = [column for column in dataset.inputs if _has_digits(column)]
        self._booleans = [column for column in dataset.inputs if column.kind == "boolean"]
        self._may_be_absent = [column.name for column in dataset.inputs if not column.required]
        if dataset.market:
            self._may_be_absent.append(AS_OF)
        self._fields = len(dataset.columns) + bool(dataset.market)
        self._names = {column_key(text): c.name for c in dataset.columns for text in (c.title, c.header, c.name)}

    def read(self, body: bytes) -> list[Values]:
        """The typed rows of a body. With a market they have the value of AS_OF as it was sent: see `take_as_of`.

        Raises:
            UnreadableBody, InvalidRequest: see `parse_json` and `convert`.
        """
        try:
            items = self._decoder.decode(body)
        except (ValueError, RecursionError):  # msgspec's errors and those of UTF-8 are ValueErrors
            return self.read_form(body, "rows", lambda decoded: decoded)
        rows = [msgspec.structs.asdict(item) for item in (items if isinstance(items, list) else [items])]
        if self._may_repeat_names(body, rows, self._fill_absent(rows)) or not self._convert_texts(rows):
            return self.read_form(body, "rows", lambda decoded: decoded)
        return rows

    def read_form(self, body: bytes, form: forms.Form, rows: Callable[[object], object]) -> list[Values]:
        """The typed rows of a body in any form. `rows` returns the untyped rows of a decoded body.

        Raises:
            UnreadableBody, InvalidRequest: see `parse_json` and `convert`. A body in another form gets advice.
        """
        decoded = parse_json(body)
        if advice := forms.advice(decoded, self.dataset.names, form):
            raise InvalidRequest(advice, [])
        return self.convert(rows(decoded))

    def convert(self, decoded: object) -> list[Values]:
        """The typed rows of a decoded body.

        Raises:
            InvalidRequest: it lists all problems, MAX_PROBLEMS at most.
        """
        items: list[Any] = decoded if isinstance(decoded, list) else [decoded]
        if not items:
            raise InvalidRequest("the list is empty", [])
        if len(items) > self.limit:
            raise InvalidRequest(f"{len(items)} items; one request may have {self.limit}", [])
        all_problems = (problem for place, item in enumerate(items) for problem in self._item_problems(place, item))
        if problems := list(islice(all_problems, MAX_PROBLEMS)):
            raise InvalidRequest("see `errors`", problems)
        rows = [self.dataset.convert(item)[0] for item in items]
        if self.dataset.market:
            for row, item in zip(rows, items, strict=True):
                row[AS_OF] = item.get(AS_OF)
        return rows

    def _fill_absent(self, rows: list[dict[str, Any]]) -> int:
        """Fill absent fields with None, in place. Returns their number."""
        absent = 0
        for row in rows:
            for name in self._may_be_absent:
                if row[name] is msgspec.UNSET:
                    row[name] = None
                    absent += 1
        return absent

    def _convert_texts(self, rows: list[Values]) -> bool:
        """Convert the texts of decoded rows, in place, as `Column.convert` does. Returns False if one does not fit."""
        for row in rows:
            for name, parse in self._categories:
                if (text := row[name]) is not None:
                    row[name] = parsed = parse(text)  # type: ignore[arg-type]  # the decoder returns text
                    if parsed is None or len(parsed) > MAX_TEXT:
                        return False
            for column in self._booleans:
                row[column.name] = column.convert(row[column.name])
            for column in self._identifiers:
                if isinstance(row[column.name], str):
                    row[column.name] = column.convert(row[column.name])
                    if self.value_problem(column.name, row[column.name]):
                        return False
        return True

    def _may_repeat_names(self, body: bytes, rows: list[Values], absent: int) -> bool:
        """Whether an item may have one name twice. The decoder would use the last value without an error.

        `absent` is the number of fields that the items do not have, without the target.

        A colon follows each name, and unknown names are errors. So more colons than values mean a repeated name, or
        only a colon in a text.
        """
        values = len(rows) * self._fields - absent
        values -= sum(row[self.dataset.target] is None for row in rows)
        return body.count(b":") != values

    def _item_problems(self, place: int, item: object) -> Iterator[ValidationProblem]:
        if not isinstance(item, dict):
            yield ValidationProblem(place, None, messages.no_object(item))
            return
        for column in self.dataset.inputs:
            if column.name not in item and column.required:
                yield ValidationProblem(place, column.name, "is required")
        for name, value in item.items():
            is_day = name == AS_OF and self.dataset.market
            if not is_day and (message := self.value_problem(name, value)):
                yield ValidationProblem(place, name[:MAX_NAME], message)

    def value_problem(self, name: str, value: object) -> str | None:
        """What is wrong with a value of an item, as it was sent. None: nothing."""
        column = self.dataset.by_name.get(name)
        if column is None:
            return NO_MARKET if name == AS_OF else _unknown_name(name, self._names)
        if column.says_missing(value) and not column.required and name != self.dataset.target:
            return None
        if value is None:
            return "must not be null"
        typed = None if _is_refused_text(column, value) else column.convert(value)
        if typed is None:
            return messages.unfit(column, value)
        if column.minimum is not None and isinstance(typed, float) and typed < column.minimum:
            return messages.too_small(column.minimum, typed)
        return None


def take_as_of(rows: Sequence[Values]) -> object:
    """Take the value of AS_OF out of the rows of a request to a dataset with a market.

    Raises:
        InvalidRequest: they have different ones.
    """
    first, *others = [row.pop(AS_OF) for row in rows]
    if any(each != first for each in others):
        raise InvalidRequest(f"{AS_OF} must be the same in all items of a request", [])
    return first


def _parser(column: Column) -> Callable[[str], str | None]:
    """The function that reads the texts of a category. The plain one is faster."""
    return partial(_parse_with_markers, column) if column.missing else parse_category


def _parse_with_markers(column: Column, text: str) -> str | None:
    return None if column.says_missing(text) else parse_category(text)


def _unknown_name(name: str, names: Mapping[str, str]) -> str:
    """The message for an unknown field. `names` has the columns by the keys of their names and titles."""
    near = difflib.get_close_matches(column_key(name[:MAX_NAME]), names, n=1)
    return f"is not known; did you mean {names[near[0]]}?" if near else "is not known"


def _is_refused_text(column: Column, value: object) -> bool:
    """Whether this is text for a number. Rows of a file may have it, and a request only for an identifier."""
    if not (column.numeric and isinstance(value, str)):
        return False
    return not (_has_digits(column) and re.search(_digits_pattern(column), value))
