"""What drift found, as a person says it: a statistic of the 15 % rule, or a test of the policy `evidence`."""

import math

from veleta.dataset import Dataset
from veleta.events.catalogue import DriftTest, Statistic

WHOLE = "all rows"
"""The subject of a test of all rows."""
BIAS, SIZE = "bias", "size of the errors"
"""The tests of the champion's errors."""
DISTRIBUTION, CATEGORIES, EXTREMES, MISSING = "distribution", "categories", "extreme values", "missing values"
"""The tests of the inputs."""
STATISTIC_NAMES = {"mean": "mean", "std": "standard deviation of", "50": "median", "75": "75 % quantile of"}
INFINITE = "infinite"
"""The note of a change from 0."""
FULL_DIGITS = 1_000
"""A number from here on is written without decimals, one below with four significant digits."""


def statistic_sentence(dataset: Dataset, statistic: Statistic, threshold: float) -> str:
    """One statistic in words: `median bathrooms 2 -> 3 (+50 %, limit 15 %)`. The threshold is a share."""
    title = column_title(dataset, statistic.column)
    title = title if title[:2].isupper() else title[:1].lower() + title[1:]
    name = f"{STATISTIC_NAMES.get(statistic.statistic, statistic.statistic)} {title}"
    if statistic.change is None and statistic.note != INFINITE:
        return f"{name} cannot be compared"
    since = "" if statistic.previous is None else f", since batch {statistic.previous}"
    values = f"{_number(statistic.old)} -> {_number(statistic.new)}"
    return f"{name} {values} ({_change(statistic)}, limit {100 * threshold:g} %{since})"


def sentence(dataset: Dataset, test: DriftTest) -> str:
    """One test in words: `Price of state = Ohio is 5.1 % above what is expected (limit 2 %)`."""
    where = "" if test.arm == "inputs" or test.subject == WHOLE else f" of {test.subject}"
    limit = f"(limit {100 * test.limit:.3g} %)"
    if test.arm == "errors" and test.test == BIAS:
        share = math.expm1(test.effect)
        direction = "above" if share > 0 else "below"
        target = column_title(dataset, dataset.target)
        return f"{target}{where} is {_percent(abs(share))} {direction} what is expected {limit}"
    if test.arm == "errors":
        return f"the median error{where} grew by {_percent(test.effect)} {limit}"
    title, percent = column_title(dataset, test.subject), _percent(test.effect)
    if test.test == DISTRIBUTION:
        return f"{title} is distributed otherwise (by {test.effect:.2g} standard deviations, limit {test.limit:g})"
    if test.test == CATEGORIES:
        note = f"; {test.note}" if test.note else ""
        return f"{title} has other shares (by {percent}, limit {100 * test.limit:.3g} %{note})"
    if test.test == EXTREMES:
        return f"{percent} of {title} are extreme {limit}"
    return f"the share of rows without {title} changed by {percent} {limit}"


def column_title(dataset: Dataset, name: str) -> str:
    """The title of a column; its name if the dataset file no longer has it."""
    return dataset.by_name[name].title if name in dataset.by_name else name


def _percent(share: float) -> str:
    """`5.1 %`, `260 %`: two digits, or all before the decimal mark."""
    return f"{100 * share:,.2g} %" if share < 1 else f"{100 * share:,.0f} %"


def _change(statistic: Statistic) -> str:
    if statistic.change is None:
        return "infinite change"
    increased = (statistic.new or 0) > (statistic.old or 0)
    return f"{_number(100 * statistic.change if increased else -100 * statistic.change, '+')} %"


def _number(value: float | None, sign: str = "") -> str:
    if value is None:
        return "infinite"
    return f"{value:{sign},.0f}" if abs(value) >= FULL_DIGITS else f"{value:{sign}.4g}"
