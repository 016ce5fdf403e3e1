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
            return day.year * 12 + day.month - 1
        case "quarter":
            return day.year * 4 + (day.month - 1) // MONTHS_PER_QUARTER
        case "year":
            return day.year


def first_day(number: int, every: Period) -> date:
    """The first day of a period.

    >>> first_day(period_of(date(2015, 5, 27), "quarter"), "quarter")
    datetime.date(2015, 4, 1)
    """
    match every:
        case "day":
            return date.fromordinal(number)
        case "week":
            return date.fromordinal(number * 7 + 1)
        case "month":
            return date(number // 12, number % 12 + 1, 1)
        case "quarter":
            return date(number // 4, number % 4 * MONTHS_PER_QUARTER + 1, 1)
        case "year":
            return date(number, 1, 1)


def period_name(number: int, every: Period) -> str:
    """A period in few characters: `2015-05`, `2015-Q2`, `2015`, or the first day of a week or a day."""
    day = first_day(number, every)
    match every:
        case "month":
            return f"{day:%Y-%m}"
        case "quarter":
            return f"{day.year}-Q{number % 4 + 1}"
        case "year":
            return str(day.year)
        case "day" | "week":
            return day.isoformat()
