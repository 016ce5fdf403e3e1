"""The command that purges a request."""

import pytest

from veleta.errors import Stop
from veleta_retention import purge


@pytest.mark.parametrize("name", ["", "x" * 256])
def test_an_invalid_id_is_refused(name: str) -> None:
    """Before the database is queried."""
    with pytest.raises(Stop, match="an id has 1 to 255 characters"):
        purge.main(name)
