"""Each collected test has a node id of its own, so that each one runs."""

import pytest

from support import node_ids


def test_tests_with_the_same_id_are_refused(request: pytest.FixtureRequest) -> None:
    """With their id. pytest-xdist would run only one of them, and report no error."""
    refused = f"only one of the tests with the same id would run: .*{request.node.name}$"
    with pytest.raises(pytest.UsageError, match=refused):
        node_ids.pytest_collection_modifyitems([request.node, request.node])
    node_ids.pytest_collection_modifyitems([request.node])
