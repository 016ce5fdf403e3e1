"""The differences between the rows of a table and those of a replay."""

from collections.abc import Iterator, Mapping

from veleta.errors import one_line

Key = tuple[object, ...]
Row = Mapping[str, object]


def row_differences(table: str, live: Mapping[Key, Row], replayed: Mapping[Key, Row]) -> Iterator[str]:
    """A line for each row that only one side has, and for each value that differs, in the order of the keys."""
    for key in sorted({*live, *replayed}):
        name = f"{table} {'/'.join(map(str, key))}"
        if key not in replayed:
            yield f"{name}: the replay has no such row"
        elif key not in live:
            yield f"{name}: only the replay has this row"
        else:
            for column, value in live[key].items():
                if (other := replayed[key][column]) != value:
                    yield f"{name}: {column} is {one_line(value)}, and {one_line(other)} in the replay"
