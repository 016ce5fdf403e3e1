"""The limits of a new deployment: what retention keeps unless a user chooses otherwise.

A deployment of an earlier version has none, because a default must not delete somebody's data.
"""

from collections.abc import Mapping
from types import MappingProxyType

DEFAULT_LIMITS: Mapping[str, int] = MappingProxyType({"keep_epochs": 10, "keep_versions": 20})
"""By setting of `retention`. `veleta_prepare` stores them in PIPELINE.limits in a deployment without rows."""
