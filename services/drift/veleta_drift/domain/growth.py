"""More data: the rows since the training of the champion, as a reason for the next one."""

from collections.abc import Sequence

from veleta.events.catalogue import BatchClosed, Growth


def growth_of(
    version: int, learnt: int, last: tuple[int, int], batches: Sequence[BatchClosed], known: Growth | None = None
) -> Growth:
    """The rows of the batches after the `last` one that a version learnt, as received. `batches` are in order.

    A batch with the same rows as an earlier one does not count. `known` has when a training was requested last.
    """
    rows, digests = 0, set[str]()
    for each in batches:
        if (each.epoch, each.number) > last and each.digest not in digests:
            rows += each.rows
        digests.add(each.digest)
    return Growth(version=version, learnt=learnt, rows=rows, requested=known.requested if known else 0)


def is_due(growth: Growth, share: float) -> bool:
    """Whether so large a share of what was learnt is new since the last request."""
    return growth.rows - growth.requested >= share * growth.learnt


def requested(growth: Growth) -> Growth:
    """What is known after a training was requested for it."""
    return growth.model_copy(update={"requested": growth.rows})


def reason(growth: Growth) -> str:
    """`more data: 3,714 rows since the training of version 1, which learnt 6,157 (+60 %)`."""
    since = f"{growth.rows:,} rows since the training of version {growth.version}, which learnt {growth.learnt:,}"
    return f"more data: {since} (+{100 * growth.rows / growth.learnt:.0f} %)"
