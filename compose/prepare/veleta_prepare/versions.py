"""The newest version that used the data of a deployment. An older one is refused before it changes anything."""

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert

from veleta.errors import Stop
from veleta.tables import versions
from veleta.version import VERSION, is_newer
from veleta_prepare.tables import exists

_NAME = "veleta"


def refuse_newer_data(connection: sa.Connection) -> None:
    """Raise Stop if a newer version used the data. Data of before this table have no version."""
    if not exists(connection, versions):
        return
    stored = connection.scalar(sa.select(versions.c.version).where(versions.c.name == _NAME))
    if stored and is_newer(stored):
        raise Stop(f"these data need Veleta {stored} or newer; this is {VERSION}. Nothing was changed")


def store_version(connection: sa.Connection) -> None:
    """Store that this version uses the data."""
    row = insert(versions).values(name=_NAME, version=VERSION)
    connection.execute(row.on_duplicate_key_update(version=VERSION))
