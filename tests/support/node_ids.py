"""A pytest plugin: each collected test has a node id of its own, so that each one runs.

pytest-xdist schedules tests by their ids. Of several tests with one id it runs one, and reports no error.
"""

from collections import Counter

import pytest
from schemathesis.pytest.plugin import SchemathesisFunction


def pytest_itemcollected(item: pytest.Item) -> None:
    """Add the operation to the id of a generated test: with pytest 9.2, schemathesis 4.32 gives all the same id."""
    if isinstance(item, SchemathesisFunction) and item.parent:
        item._id = item.parent.id.child(item.name)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse tests with the same id.

    Raises:
        UsageError: with the ids. The session ends, and no test runs.
    """
    repeated = [node_id for node_id, count in Counter(item.nodeid for item in items).items() if count > 1]
    if repeated:
        raise pytest.UsageError(f"only one of the tests with the same id would run: {', '.join(repeated)}")
