"""Databases with the schema of the catalogue, used by one test after the other: to make one takes half a second.

Belongs here: making, emptying and dropping them. Does not belong here: which test gets one (`conftest`).
"""

import uuid
from typing import TYPE_CHECKING

from label_assets.warehouse.client import connect
from label_assets.warehouse.migration import migrate
from label_assets.warehouse.schema import STORAGE_SUFFIX

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_SHAPE = """
SELECT count(), groupBitXor(sipHash64(replaceAll(concat(name, ' ', create_table_query), {name:String}, '')))
FROM system.tables WHERE database = {name:String}
"""


class Databases:
    """Empty databases of one server. A test that changes more than rows leaves none behind for the others."""

    def __init__(self, url: str) -> None:
        """Keep the address; nothing is opened before the first database is wanted."""
        self._url = url
        self._client: Client | None = None
        self._idle: list[str] = []
        self._shape: tuple[int, int] | None = None

    @property
    def client(self) -> "Client":
        """Connection to the server, to no database of a test."""
        if self._client is None:
            self._client = connect(self._url, "default")
        return self._client

    def take(self) -> str:
        """Name of a database with every table of the catalogue and no row."""
        if self._idle:
            return self._idle.pop()
        name = f"t_{uuid.uuid4().hex[:12]}"
        made = connect(self._url, name)
        migrate(made)
        made.close()
        if self._shape is None:
            self._shape = self._shape_of(name)
        return name

    def give_back(self, name: str) -> None:
        """Empty a database for the next test, or drop it where its tables are not as they were."""
        if self._shape != self._shape_of(name):
            self.client.command(f"DROP DATABASE IF EXISTS `{name}` SYNC")
            return
        self.client.command(f"TRUNCATE TABLES FROM `{name}` LIKE '%{STORAGE_SUFFIX}'")
        self.client.command("SYSTEM START MERGES")  # some tests stop them
        self._idle.append(name)

    def close(self) -> None:
        """Close the connection; the server is stopped with all its databases."""
        if self._client is not None:
            self._client.close()

    def _shape_of(self, name: str) -> tuple[int, int]:
        count, digest = self.client.query(_SHAPE, parameters={"name": name}).result_rows[0]
        return int(count), int(digest)
