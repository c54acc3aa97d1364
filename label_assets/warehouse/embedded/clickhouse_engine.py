"""chDB behind plain calls: handles, settings, inserts, streams. The only file that imports chdb.

One handle holds what a connection holds: current database, settings, bound parameters, temporary tables. A request
gets a fresh one (0.4 ms), so nothing leaks from one client to the next.

Belongs here: everything about chDB's own interface. Does not belong here: HTTP.
"""

from __future__ import annotations

import importlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from label_assets.warehouse.embedded.clickhouse_sql import InsertHead, quoted, quoted_name

# Every statement: since 26.3 an insert is asynchronous by default, which merges inserts of several clients into one
# part and acknowledges out of order. And none is compiled: an expression met the third time costs LLVM 20 ms and more,
# a statement over all labels half a second, which no table on one machine brings back.
DEFAULT_SETTINGS = {
    "async_insert": "0",
    "compile_expressions": "0",
    "compile_aggregate_expressions": "0",
    "compile_sort_description": "0",
}

# Every insert of a body, unless the client sets them: one insert becomes one block and so one part per partition,
# and a body that ends early leaves nothing behind, because nothing is written before its end.
INSERT_SETTINGS = {
    "max_insert_block_size": "1000000000",
    "min_insert_block_size_rows": "1000000000",
    "min_insert_block_size_bytes": "34359738368",
}

_CODE = re.compile(r"Code: (\d+)\. ?")
_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_.]*$")
_PLAIN = re.compile(r"[\w.-]+", re.ASCII)

_MOST_KNOWN_SETTINGS = 1000
_NEVER_IN_ADDRESS = "readonly"  # it would refuse the SET of the others


class EngineError(Exception):
    """An error of the engine, or one in its form.

    Attributes:
        code: ClickHouse's error code.
        message: The whole text, beginning with `Code: `.
    """

    def __init__(self, code: int, message: str) -> None:
        """Keep code and text."""
        super().__init__(message)
        self.code = code
        self.message = message

    @classmethod
    def of(cls, code: int, name: str, text: str) -> EngineError:
        """Build an error in the engine's form."""
        return cls(code, f"Code: {code}. DB::Exception: {text}. ({name})")

    @classmethod
    def from_chdb(cls, error: Exception) -> EngineError:
        """Read code and text from what chDB raises."""
        text = str(error)
        match = _CODE.search(text)
        if match is None:
            return cls(1002, f"Code: 1002. DB::Exception: {text}. (UNKNOWN_EXCEPTION)")
        return cls(int(match.group(1)), text[match.start() :].strip())


@dataclass(frozen=True)
class Progress:
    """What a statement read and wrote."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    result_bytes: int = 0
    elapsed_s: float = 0.0


class Result:
    """A whole result in memory."""

    def __init__(self, result: Any) -> None:
        """Keep chDB's result for its counters; its bytes are copied.

        A view of them (`get_memview`) costs nothing but does not keep them alive: read after the result is gone it
        holds other data. Measured: a copy takes 1 ms a megabyte, of 6 ms that the way to the client takes.
        """
        self._result = result
        self.body: bytes = result.bytes()

    @property
    def progress(self) -> Progress:
        """What the statement read and wrote."""
        written = int(self._result.rows_written())
        return Progress(
            read_rows=int(self._result.storage_rows_read()),
            read_bytes=int(self._result.storage_bytes_read()),
            written_rows=written,
            written_bytes=int(self._result.bytes_written()),
            result_rows=int(self._result.rows_read()) or written,
            result_bytes=len(self.body),
            elapsed_s=float(self._result.elapsed()),
        )


class Insert:
    """An insert whose data is gathered in memory: the engine sees nothing of it before `finish`.

    It gets the data as a file. chDB's own inserts in pieces (`insert_done`) acknowledge what they could not write, be
    it for a full disk or a violated constraint (seen in 4.4), and data behind a statement must be text there.
    """

    def __init__(self, handle: Handle, head: InsertHead, params: Mapping[str, str]) -> None:
        """Begin it."""
        self._handle = handle
        self._head = head
        self._params = params
        self._file = _memory_file()

    def append(self, data: bytes) -> None:
        """Add bytes in the format of the insert."""
        self._file.write(data)

    def finish(self) -> Progress:
        """Write everything; returns after the part is on disk."""
        with self._file:
            self._file.flush()
            source = f"/dev/fd/{self._file.fileno()}"
            statement = (
                f"{self._head.statement} FROM INFILE {quoted(source)} {self._head.settings} FORMAT {self._head.format}"
            )
            written = self._handle.execute(statement, "Null", self._params).progress
        rows, size = written.written_rows, written.written_bytes
        return replace(written, read_rows=rows, read_bytes=size, result_rows=rows, result_bytes=size)

    def cancel(self) -> None:
        """Forget everything that was added."""
        self._file.close()


def _memory_file() -> IO[bytes]:
    """A file that has no name and, where the system can, no disk."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("insert"), "w+b")
    return tempfile.TemporaryFile()


class Stream:
    """A result that comes block by block; the handle can do nothing else meanwhile.

    It must be closed before its handle: chDB crashes if a stream of a closed connection is cancelled.
    """

    def __init__(self, connection: Any, statement: str, fmt: str, params: Mapping[str, str]) -> None:
        """Start the SELECT."""
        self._connection = connection
        self._open = True
        try:
            self._result = connection.send_query(statement, fmt, params=dict(params))
        except RuntimeError as error:
            raise EngineError.from_chdb(error) from None

    def __iter__(self) -> Iterator[bytes]:
        """Return itself."""
        return self

    def __next__(self) -> bytes:
        """Wait for the next block and return its bytes."""
        if not self._open:
            raise StopIteration
        try:
            block = self._connection.streaming_fetch_result(self._result)
        except RuntimeError as error:
            self._open = False
            raise EngineError.from_chdb(error) from None
        if block is None or block.rows_read() == 0:
            self._open = False
            raise StopIteration
        return bytes(block.bytes())

    def close(self) -> None:
        """Cancel the SELECT unless it has ended."""
        if self._open:
            self._open = False
            self._connection.streaming_cancel_query(self._result)


class Handle:
    """One connection to the engine."""

    def __init__(self, connection: Any) -> None:
        """Wrap a chDB connection."""
        self._connection = connection
        self._stream: Stream | None = None

    def execute(self, statement: str | bytes, fmt: str, params: Mapping[str, str] | None = None) -> Result:
        """Run a statement and keep its whole result; a FORMAT clause of its own wins over `fmt`."""
        try:
            return Result(self._connection.query(statement, fmt, params=dict(params or {})))
        except RuntimeError as error:
            raise EngineError.from_chdb(error) from None

    def value(self, statement: str) -> str:
        """Run a statement and return its only value as raw text."""
        return self.execute(statement, "TSVRaw").body.decode().removesuffix("\n")

    def stream(self, statement: str, fmt: str, params: Mapping[str, str]) -> Stream:
        """Run a SELECT and give its result block by block."""
        self._stream = Stream(self._connection, statement, fmt, params)
        return self._stream

    def end_stream(self) -> None:
        """Cancel the stream of this handle, if one is not read to its end."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def insert(self, head: InsertHead, params: Mapping[str, str] | None = None) -> Insert:
        """Begin an insert of data in the format that its statement names."""
        return Insert(self, head, params or {})

    def classify(self, statement: str | bytes) -> tuple[str, int]:
        """Ask the engine what a statement would do.

        Returns:
            READ_ONLY, MUTATING, MUTATING_GLOBAL, CONTROL or UNKNOWN, and the number of statements.
        """
        answer = self._connection.classify_query(statement)
        return str(answer["query_class"].name), int(answer["statement_count"])

    def apply(self, settings: Mapping[str, str]) -> None:
        """SET settings on this handle."""
        if not settings:
            return
        for name in settings:
            if not _NAME.match(name):
                raise EngineError.of(115, "UNKNOWN_SETTING", f"Unknown setting '{name}'")
        assignments = ", ".join(f"{name} = {quoted(value)}" for name, value in settings.items())
        self.execute(f"SET {assignments}", "Null")

    def use(self, database: str) -> None:
        """Change the current database."""
        self.execute(f"USE {quoted_name(database)}", "Null")

    def close(self) -> None:
        """Give the handle back; a stream on it is cancelled."""
        self.end_stream()
        self._connection.close()


class Engine:
    """chDB on one folder. One per process; chDB itself keeps a second process out of the folder."""

    def __init__(self, folder: Path, memory_ratio: float) -> None:
        """Import chDB and open the folder.

        Args:
            folder: Where the data lies.
            memory_ratio: Share of the machine's memory that the engine may use.
        """
        # 0.2 s and 550 MB of library, wanted in the owner process only; its stubs lack what we use.
        library: Any = importlib.import_module("chdb._chdb")
        self._library = library
        self._folder = str(folder)
        library.reset_signal_handlers()
        library.set_signal_handlers_enabled(0)
        # Held until the end: the engine shuts down with its last handle.
        self._root = Handle(
            library.connect(f"{folder}?max_server_memory_usage_to_ram_ratio={memory_ratio}&log_queries=0")
        )
        self.version = self._root.value("SELECT version()")
        self._known_settings: set[tuple[str, str]] = set()

    def open(self, comment: str = "", settings: Mapping[str, str] = MappingProxyType({}), database: str = "") -> Handle:
        """Return a fresh handle with the default settings and some more.

        What can stands in the address: a SET and a USE of their own cost 1.3 ms, of 4 ms that a small query takes.
        There the engine ignores a setting that it does not know, so that each is SET once before.

        Args:
            comment: log_comment of its statements, by which `kill` finds them.
            settings: Settings by name; they win over the default ones.
            database: Current database; "" for `default`.

        Raises:
            EngineError: an unknown setting or value, or no such database.
        """
        wanted = {**settings, **({"log_comment": comment} if comment else {})}
        known = {
            name: value
            for name, value in wanted.items()
            if _PLAIN.fullmatch(value) and (name == "log_comment" or (name, value) in self._known_settings)
        }
        options = {**DEFAULT_SETTINGS, **known, **({"database": database} if _PLAIN.fullmatch(database) else {})}
        address = f"{self._folder}?" + "&".join(f"{name}={value}" for name, value in options.items())
        try:
            handle = Handle(self._library.connect(address))
        except RuntimeError as error:
            raise EngineError.from_chdb(error) from None
        try:
            unknown = {name: value for name, value in wanted.items() if name not in known}
            handle.apply(unknown)
            if len(self._known_settings) + len(unknown) <= _MOST_KNOWN_SETTINGS:
                self._known_settings |= {item for item in unknown.items() if item[0] != _NEVER_IN_ADDRESS}
            if database and "database" not in options:
                handle.use(database)
        except BaseException:
            handle.close()
            raise
        return handle

    def kill(self, comment: str) -> None:
        """Cancel the running statements whose log_comment is the given one; does not wait for their end."""
        handle = self.open()
        try:
            handle.execute(f"KILL QUERY WHERE Settings['log_comment'] = {quoted(comment)} ASYNC", "Null")
        finally:
            handle.close()

    def kill_all(self) -> None:
        """Cancel everything that runs."""
        handle = self.open()
        try:
            handle.execute("KILL QUERY WHERE query NOT ILIKE 'KILL QUERY%' ASYNC", "Null")
        finally:
            handle.close()

    def close(self) -> None:
        """Close the last handle: the engine ends its merges and gives its folder free."""
        self._root.close()
