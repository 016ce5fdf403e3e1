"""A pytest plugin for mutmut 3.7, which reads an attribute that pytest 9.2 no longer has.

mutmut 3.8 does not read it, but it needs click 8.4, and faust-streaming 0.15 excludes that version.
"""

import pytest

pytest.Item._nodeid = property(lambda item: item.nodeid)  # type: ignore[attr-defined]  # see above
