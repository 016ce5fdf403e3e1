"""Texts about the rows of a batch that are left out: they are not clean, so no model learns from them."""

from collections.abc import Mapping

WARNING_SHARE = 0.2
"""A file or a batch with a greater share of rows left out gets a warning: a person should look at it."""
MAX_REASONS = 5
"""How many reasons a text lists. The others are counted."""
_VERB = "rows are left out"


def describe_left_out(received: int, rejected: Mapping[str, int], examples: Mapping[str, str] | None = None) -> str:
    """`312 of 400 rows are left out (78 %): price: no value 300 (row 0: "POA"), bed: below 1 12 (row 17: 0)`.

    `rejected` counts rows by reason, and `examples` has a row with each reason. The most frequent reasons are listed.
    Empty if no row is left out.
    """
    if not (left_out := sum(rejected.values())):
        return ""
    listed = sorted(rejected.items(), key=lambda item: -item[1])[:MAX_REASONS]
    reasons = [f"{reason} {count:,}{_example(reason, examples or {})}" for reason, count in listed]
    more = [f"{len(rejected) - MAX_REASONS} more reasons"] if len(rejected) > MAX_REASONS else []
    total = f"{left_out:,} of {received:,} {_VERB} ({100 * left_out / received:.3g} %)"
    return f"{total}: {', '.join([*reasons, *more])}"


def left_out_warning(batch: str, received: int, rejected: Mapping[str, int], findings: str = "") -> str:
    """A warning if more than WARNING_SHARE of a batch is left out. Empty otherwise.

    The line of the `findings` with the examples is used, if there is one.
    """
    if sum(rejected.values()) <= WARNING_SHARE * received:
        return ""
    described = next((line for line in findings.splitlines() if _VERB in line), "")
    subject = f"batch {batch} has no clean row" if sum(rejected.values()) == received else f"batch {batch}"
    return f"{subject}: {described or describe_left_out(received, rejected)}"


def _example(reason: str, examples: Mapping[str, str]) -> str:
    return f" ({examples[reason]})" if reason in examples else ""
