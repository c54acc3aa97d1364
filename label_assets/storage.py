"""Connections of Dagster to its PostgreSQL, kept open between statements, and what it need not ask twice.

Left to itself Dagster opens a connection for every statement: 400 of them in the run of one instrument's two years,
1.6 CPU seconds of the server's 2.0. Kept ones are asked whether they still live before they are used, so that nobody
notices a server that was started again in between; the web server, which Dagster does let keep its own, did not ask,
and answered with errors.

Belongs here: engines of SQLAlchemy, memory of the schema. Does not belong here: which server (`stack`, `dagster.yaml`).
"""

from collections.abc import Callable, Iterable
from typing import Any

from dagster._core.storage.sql import create_engine
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage, PostgresScheduleStorage
from sqlalchemy.pool import NullPool

KEPT = 1
"""Connections that a process keeps for each of the three storages; threads that need more at once open them."""

MORE = 20
RECYCLE_S = 3600


def keep_connections(
    storages: Iterable[Any], *, statement_timeout_ms: int = 0, recycle_s: int = RECYCLE_S, more: int = MORE
) -> None:
    """Replace the engines of Dagster's PostgreSQL storages; others are left alone.

    Args:
        storages: Storages of an instance.
        statement_timeout_ms: The server ends a statement that takes longer [ms]; 0 means never.
        recycle_s: A connection is replaced when it is so old [s].
        more: Connections that may be opened beside the kept one.
    """
    for storage in storages:
        # One with tokens for passwords that expire needs Dagster's own engine.
        if not isinstance(storage, PostgresRunStorage | PostgresEventLogStorage | PostgresScheduleStorage) or (
            storage._token_provider is not None
        ):
            continue
        options = [str(storage._engine.url.query.get("options", "")), f"-c statement_timeout={statement_timeout_ms}"]
        storage._engine.dispose()
        _remember_schema(storage)
        storage._engine = create_engine(
            storage.postgres_url,
            isolation_level="AUTOCOMMIT",
            pool_size=KEPT,
            max_overflow=more,
            pool_recycle=recycle_s,
            pool_pre_ping=True,
            connect_args={"options": " ".join(filter(None, options))},
        )


def _remember_schema(storage: Any) -> None:
    """Ask once for each table and column that Dagster looks for before its statements: 115 times in such a run."""
    for name in ("has_table", "has_asset_key_col", "_has_asset_key_col_on_connection"):
        if hasattr(storage, name) and name not in vars(storage):  # of the class: it was not done before
            setattr(storage, name, _once_found(getattr(storage, name)))


def _once_found(ask: Callable[..., bool]) -> Callable[..., bool]:
    """The same question, whose last argument is what is looked for; what was found is not looked for again."""
    found: set[str] = set()

    def asked(*arguments: Any) -> bool:
        if arguments[-1] not in found and ask(*arguments):
            found.add(arguments[-1])
        return arguments[-1] in found

    return asked


def close_connections(storages: Iterable[Any]) -> None:
    """Close what `keep_connections` keeps."""
    for storage in storages:
        engine = getattr(storage, "_engine", None)
        if engine is not None and not isinstance(engine.pool, NullPool):
            engine.dispose()
