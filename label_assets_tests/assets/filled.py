"""Databases filled by a run of the graph, made once for all tests that begin with the same one: a run takes five
seconds, a copy of its rows a third of one.

Belongs here: running once, copying. Does not belong here: empty databases (`label_assets_tests.databases`).
"""

from hashlib import blake2b

from label_assets.settings import Settings
from label_assets_tests.assets.landing import run_well
from label_assets_tests.databases import Databases

OWN = {"home", "database", "clickhouse_url", "redis_url", "landing_folder"}
"""Settings that enter no row; of the landing folder its files do."""


class Filled:
    """Fills empty databases as a run of the whole graph would, and did once, checks included."""

    def __init__(self, databases: Databases) -> None:
        """Keep where empty databases come from."""
        self._databases = databases
        self._templates: dict[str, tuple[str, list[str]]] = {}

    def __call__(self, settings: Settings, *months: str) -> None:
        """Fill the empty database of some settings; months as in `run_months`."""
        key = _key(settings, months)
        if key not in self._templates:
            template = self._databases.take()
            run_well(settings.model_copy(update={"database": template}), *months)
            self._templates[key] = template, self._tables(template)
        template, tables = self._templates[key]
        for name in tables:
            self._databases.client.command(
                f"INSERT INTO `{settings.database}`.`{name}` SELECT * FROM `{template}`.`{name}`"
            )

    def _tables(self, database: str) -> list[str]:
        found = self._databases.client.query(
            "SELECT DISTINCT table FROM system.parts WHERE database = {name:String} AND active ORDER BY table",
            parameters={"name": database},
        )
        return [str(name) for (name,) in found.result_rows]


def _key(settings: Settings, months: tuple[str, ...]) -> str:
    digest = blake2b(f"{months} {settings.model_dump_json(exclude=OWN)}".encode())
    if settings.landing_folder is not None:
        for path in sorted(settings.landing_folder.iterdir()):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
