"""The rows of PIPELINE.market_levels: drift writes them, and the trainer reads them too."""

from datetime import datetime

import sqlalchemy as sa

from veleta.clock import for_sql
from veleta.events.catalogue import LevelUpdated


def level_row(update: LevelUpdated, at: datetime) -> dict[str, object]:
    """The row of an update at a time."""
    row = update.model_dump(exclude={"model", "rows", "earlier"})
    earlier = [each.model_dump(mode="json") for each in update.earlier] or None
    return {"digest": ""} | row | {"measured_rows": update.rows, "earlier": earlier, "updated_at": for_sql(at)}


def level_updated(model: str, row: sa.RowMapping) -> LevelUpdated:
    """The update in a row. `model` is the name of the registered model, which the table leaves out."""
    own = {name: value for name, value in row.items() if value is not None}
    fields = own | {"model": model, "rows": own.pop("measured_rows"), "pinned": bool(own["pinned"])}
    return LevelUpdated.model_validate(fields)
