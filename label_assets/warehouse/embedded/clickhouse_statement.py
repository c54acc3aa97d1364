"""One statement of one request on one handle: insert, streamed SELECT, or anything else.

Belongs here: which way a statement takes. Does not belong here: how bytes come in or go out.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from label_assets.warehouse.embedded.arrow_stream import joined_streams
from label_assets.warehouse.embedded.clickhouse_engine import INSERT_SETTINGS, EngineError, Handle, Progress
from label_assets.warehouse.embedded.clickhouse_request import ExternalTable, Parameters, whole
from label_assets.warehouse.embedded.clickhouse_sql import (
    InsertHead,
    ends_the_engine,
    first_word,
    insert_head,
    output_format,
    quoted_name,
    writes_a_file,
)

# Blocks of these formats follow each other without header or footer. ArrowStream is put together (arrow_stream.py).
_STREAMED = frozenset(
    {"Native", "TabSeparated", "TSV", "TabSeparatedRaw", "TSVRaw", "CSV", "RowBinary", "JSONEachRow",
     "JSONCompactEachRow", "ArrowStream"}
)  # fmt: skip

_HEAD_BYTES = 256 * 1024  # max_query_size of the engine: a statement's head is not longer


@dataclass(frozen=True)
class Request:
    """A statement to run.

    Attributes:
        parameters: What the request says beside it.
        body: The rest of the body; the statement itself or the data of an insert.
        default_format: Output format if the statement names none.
        read_only: The request may not change anything (GET, HEAD).
        may_stream: The response may begin before the statement ends.
        on_read: Called before a statement that only reads runs: from here on it may be killed.
    """

    parameters: Parameters
    body: Iterator[bytes]
    default_format: str
    read_only: bool
    may_stream: bool
    on_read: Callable[[], None]


@dataclass(frozen=True)
class Answer:
    """What a statement gave.

    Attributes:
        format: Output format; None if the statement gives no rows.
        progress: Counters; those of a streamed answer are not known yet and are zero.
        body: The result, if it is whole.
        blocks: The result, if it is streamed.
        changes_session: SET, USE and the like.
    """

    format: str | None
    progress: Progress
    body: bytes
    blocks: Iterator[bytes] | None = None
    changes_session: bool = False


def run(handle: Handle, request: Request) -> Answer:
    """Run the statement of a request.

    Raises:
        EngineError: The engine refuses it, or this server does.
        BodyEndedEarlyError: The body is short; nothing was inserted.
        CorruptBodyError: The body cannot be decompressed; nothing was inserted.
    """
    head, exhausted = _head(request)
    insert = insert_head(head)
    if insert is not None and not (exhausted and insert.format == "Values"):
        return _insert(handle, request, insert, head[insert.data_start :])
    statement = head if exhausted else whole(request.body, head)
    brought = request.parameters.tables
    try:
        for table in brought:
            _bring(handle, table)
        return _execute(handle, request, statement)
    finally:
        if "session_id" in request.parameters.values:  # any other handle ends with the request
            for table in brought:
                handle.execute(f"DROP TEMPORARY TABLE IF EXISTS {quoted_name(table.name)}", "Null")


def _head(request: Request) -> tuple[bytes, bool]:
    """Join query and body, as the server does, as far as the head of a statement can reach.

    Returns:
        The bytes, and whether the body is exhausted.
    """
    query = request.parameters.values.get("query", "").encode("utf-8", "surrogateescape")
    head = query
    for piece in request.body:
        if head is query and query:
            head += b"\n"
        head += piece
        if len(head) >= _HEAD_BYTES:
            return head, False
    return head, True


def _insert(handle: Handle, request: Request, head: InsertHead, first: bytes) -> Answer:
    if request.read_only:
        raise _refused_by_get()
    chosen = request.parameters.settings
    handle.apply({name: value for name, value in INSERT_SETTINGS.items() if name not in chosen})
    insert = handle.insert(head, request.parameters.bound)
    try:
        if first:
            insert.append(first)
        for piece in request.body:
            insert.append(piece)
    except BaseException:  # short body, broken frame, bad row, dying server: leave nothing behind
        insert.cancel()
        raise
    return Answer(None, insert.finish(), b"")


def _bring(handle: Handle, table: ExternalTable) -> None:
    handle.execute(f"CREATE TEMPORARY TABLE {quoted_name(table.name)} ({table.structure}) ENGINE = Memory", "Null")
    insert = handle.insert(InsertHead(f"INSERT INTO {quoted_name(table.name)}", "", table.format, 0))
    if table.data:
        insert.append(table.data)
    insert.finish()


def _execute(handle: Handle, request: Request, statement: bytes) -> Answer:
    text = statement.decode("utf-8", "replace")
    kind = _checked_kind(handle, statement, text, request.read_only)
    fmt = output_format(text) or request.default_format
    bound = request.parameters.bound
    if kind == "READ_ONLY":
        request.on_read()
    if request.read_only:
        # A second guard behind the classification. On the handles of a session it could not be taken back.
        if "session_id" not in request.parameters.values:
            handle.apply({"readonly": "2"})
    elif kind == "MUTATING" and first_word(text) == "INSERT":
        chosen = request.parameters.settings
        handle.apply({name: value for name, value in INSERT_SETTINGS.items() if name not in chosen})
    streamable = request.may_stream and kind == "READ_ONLY" and fmt in _STREAMED
    if streamable and first_word(text) in {"SELECT", "WITH", "FROM"}:
        return _streamed(handle, text, fmt, bound)
    result = handle.execute(statement, request.default_format, bound)
    body = result.body
    gives_rows = kind == "READ_ONLY" or len(body) > 0
    return Answer(fmt if gives_rows else None, result.progress, body, changes_session=kind == "CONTROL")


def _streamed(handle: Handle, text: str, fmt: str, bound: dict[str, str]) -> Answer:
    """Start a stream; its first two blocks are awaited, so that early errors and small results are plain answers."""
    blocks: Iterator[bytes] = handle.stream(text, fmt, bound)
    if fmt == "ArrowStream":
        blocks = joined_streams(blocks)
    ahead = list(itertools.islice(blocks, 2))
    if len(ahead) == 2:
        return Answer(fmt, Progress(), b"", blocks=itertools.chain(ahead, blocks))
    if not ahead and fmt == "ArrowStream":  # no rows, no block, no schema: only a whole result has one
        result = handle.execute(text, fmt, bound)
        return Answer(fmt, result.progress, result.body)
    body = b"".join(ahead)
    return Answer(fmt, Progress(result_bytes=len(body)), body)


def _checked_kind(handle: Handle, statement: bytes, text: str, read_only: bool) -> str:
    kind, count = handle.classify(statement)
    if count == 0 and not re.search(r"\w", text):
        raise EngineError.of(62, "SYNTAX_ERROR", "Syntax error: Empty query")
    if count > 1:
        raise EngineError.of(62, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed)")
    if ends_the_engine(text):
        raise EngineError.of(497, "ACCESS_DENIED", "The embedded server ends through its own stop command only")
    if writes_a_file(text):
        raise EngineError.of(48, "NOT_IMPLEMENTED", "INTO OUTFILE is not allowed over HTTP")
    if read_only and kind not in {"READ_ONLY", "UNKNOWN"}:
        raise _refused_by_get()
    return kind


def _refused_by_get() -> EngineError:
    return EngineError.of(
        164, "READONLY", "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. "
        "You should use method POST for modifying queries"
    )  # fmt: skip
