"""The version of Veleta, by which a deployment shows what its data need."""

VERSION = "0.1.0"
"""Numbers with points between them. Each distribution has the same."""


def is_newer(version: str) -> bool:
    """Whether a version is newer than this one."""
    return _numbers(version) > _numbers(VERSION)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]
