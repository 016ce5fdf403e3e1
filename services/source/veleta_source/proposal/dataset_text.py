"""Writes a plan as the text of a dataset file, with a comment for each guess."""

from collections.abc import Iterator, Sequence
from datetime import date

import tomli_w

from veleta.dataset import Value
from veleta.dataset_faults import MAX_BYTES
from veleta.errors import Stop
from veleta.input.faults import quoted
from veleta_source.proposal.cells import FileCells
from veleta_source.proposal.columns import HUGE, LARGE
from veleta_source.proposal.rules import Column, Plan

_WIDTH = 118


def dataset_text(plan: Plan, file: FileCells, name: str, title: str, source: str) -> str:
    """The text of the dataset file. Without comments if it would be too long with them.

    Raises:
        Stop: it is too long without comments too.
    """
    lines = list(_lines(plan, file, name, title, source))
    text = _joined(lines)
    if len(text.encode()) > MAX_BYTES:
        text = _joined([line for line in lines if not line.startswith("#")])
    if (size := len(text.encode())) > MAX_BYTES:
        raise Stop(f"{source}: has {len(plan.columns):,} columns of use, too many for a dataset file: {size:,} bytes, "
                   f"at most {MAX_BYTES:,}")  # fmt: skip
    return text


def _joined(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _lines(plan: Plan, file: FileCells, name: str, title: str, source: str) -> Iterator[str]:
    used, out = len(plan.columns), len(plan.left_out)
    yield from _comment(f"Written from {source} by make dataset: {used} columns are used, {out} left out.")
    yield from _comment("Each choice is a guess from the values, and its reason is above it. Change what is wrong.")
    looked = f"the first {file.rows:,}" if not file.is_whole else f"{file.rows:,}"
    yield from _comment(f"The figures are those of {looked} rows.")
    if file.skipped:
        yield from _comment(f"{file.skipped:,} of them have another number of cells than the header, and are left out.")
    yield from (_pair("name", name), _pair("title", title))
    yield from _comment("The column that is predicted.")
    yield _pair("target", plan.target.name)
    yield from _comment(f"What one thing is: {plan.identity_reason}.")
    if plan.identity:
        yield _pair("identity", list(plan.identity))
    for column in plan.columns:
        yield from _column(column, plan)
    yield from _left_out(plan)
    yield from _rest(plan)


def _column(column: Column, plan: Plan) -> Iterator[str]:
    found = column.found
    yield ""
    for reason in found.reasons:
        yield from _comment(f"{reason[0].upper()}{reason[1:]}.")
    yield "[[columns]]"
    pairs = {
        "name": column.name,
        "title": column.title,
        "header": column.header,
        "kind": found.kind,
        "unit": found.unit,
        "format": found.form.text,
        "feature": found.feature,
        "digits": found.digits,
        "prefix": found.prefix,
        "missing": list(found.missing),
    }
    yield from (_pair(key, value) for key, value in pairs.items() if value)
    if column.minimum is not None:
        yield _pair("minimum", 0)
    if found.optional and column is not plan.target:
        yield _pair("optional", value=True)


def _left_out(plan: Plan) -> Iterator[str]:
    if plan.left_out:
        yield ""
        yield from _comment("Columns that are left out:")
    for each in plan.left_out:
        name = (
            quoted(each.cells.header) if each.cells.header else f"the one without a header ({each.cells.position + 1})"
        )
        yield from _comment(f"left out: {name}: {each.left_out}.")


def _rest(plan: Plan) -> Iterator[str]:
    yield ""
    yield from _comment("A row is used for training if its numbers are within these bounds.")
    yield "[cleaning]"
    for name, bounds in plan.cleaning.items():
        yield from _comment(f"{name}: {bounds.reason}.")
        yield f"{name} = [{_number(bounds.low)}, {_number(bounds.high)}]"
    if ignored := [column.name for column in plan.columns if column.found.kind == "identifier"]:
        yield ""
        yield from _comment("Names and codes have no quantities that drift could compare.")
        yield from ("[drift]", _pair("ignore", ignored))
    yield ""
    yield from _comment(
        "Parts on which each version is measured: categories with few values, and quarters of the target."
    )
    yield "[evaluation]"
    if plan.slices:
        yield _pair("slices", list(plan.slices))
    yield f"bands = [{', '.join(map(_number, plan.bands))}]"
    yield ""
    yield from _comment(f"Batches: {plan.batches_reason}.")
    if plan.batches:
        yield from ("[batches]", _pair("by", plan.batches[0]), _pair("every", plan.batches[1]))
        if plan.market_reason:
            yield ""
            yield from _comment(f"Market: {plan.market_reason}.")
            yield from _comment(
                "The level of prices is a part of the model, and follows each batch without a training. Remove the "
                "section if this is another date, or if something else than the date chooses the rows of a batch."
            )
            yield from ("[market]", _pair("time", plan.batches[0]))
    yield ""
    yield from _comment("A typical row of the file.")
    yield "[example]"
    for column in plan.columns:
        if column.name in plan.example:
            yield f"{column.name} = {_value(column, plan.example[column.name])}"


def _value(column: Column, value: Value) -> str:
    if column.found.kind == "boolean":
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if column.found.kind == "identifier" else _number(value)
    return _toml(value.isoformat() if isinstance(value, date) else value)


def _number(number: float) -> str:
    """A number as people write it: 12_000, 1955, 0.38 or 1e+30."""
    if not number.is_integer() or abs(number) >= HUGE:
        return repr(number)
    return f"{int(number):_}" if abs(number) >= LARGE else str(int(number))


def _pair(key: str, value: object) -> str:
    return f"{key} = {_toml(value)}"


def _toml(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    text = tomli_w.dumps({"x": value}).removeprefix("x = ").rstrip("\n")
    return "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in text)


def _comment(text: str) -> Iterator[str]:
    """The lines of a comment, broken between words."""
    line = "#"
    for word in text.split():
        if len(line) + 1 + len(word) > _WIDTH and line != "#":
            yield line
            line = "#"
        line += f" {word}"
    yield line
