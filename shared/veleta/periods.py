"""The periods of a calendar, by number."""

from datetime import date

from veleta.dataset import Period

MONTHS_PER_QUARTER = 3


def period_of(day: date, every: Period) -> int:
    """The number of the day, week (from Monday), month, quarter or year that a day is in. A later one is greater."""
    match every:
        case "day":
            return day.toordinal()
        case "week":
            return (day.toordinal() - 1) // 7
        case "month":
            return day.year * 12 + day.month
        case "quarter":
            return day.year * 4 + (day.month - 1) // MONTHS_PER_QUARTER
        case "year":
            return day.year
