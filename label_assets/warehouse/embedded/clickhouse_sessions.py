"""Handles that outlive a request: the session_id of the HTTP interface.

`USE`, `SET` and temporary tables of a session stay. What a request's own URL sets (settings, database) does not: it is
put back at the end of the request, as the server does it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from label_assets.warehouse.embedded.clickhouse_engine import Engine, EngineError, Handle

_DEFAULT_TIMEOUT_S = 60.0
_MAX_TIMEOUT_S = 3600.0
_MAX_SESSIONS = 1000


class Session:
    """One kept handle with what must be put back on it."""

    def __init__(self, handle: Handle) -> None:
        """Start with the state of a fresh handle."""
        self.handle = handle
        self.busy = False
        self.expires_at = 0.0
        self._own_database = "default"
        self._own_values: dict[str, str] = {}
        self._overridden: set[str] = set()
        self._moved = False

    def enter(self, settings: Mapping[str, str], database: str | None) -> None:
        """Apply what a request sets for itself."""
        unknown = [name for name in settings if name not in self._own_values]
        for name in unknown:
            row = self.handle.value(f"SELECT getSetting('{name}')") if name.isidentifier() else ""
            self._own_values[name] = row
        self._overridden = set(settings)
        self.handle.apply(settings)
        if database is not None and database != self._own_database:
            self._moved = True
            self.handle.use(database)

    def leave(self, changed_by_statement: bool) -> None:
        """Put back what the request set for itself.

        Args:
            changed_by_statement: The statement was a SET, USE or the like: what it changed stays, so the values
                kept so far are no longer the session's own.
        """
        if changed_by_statement:
            self._own_database = self.handle.value("SELECT currentDatabase()")
            self._own_values.clear()
        else:
            self.handle.apply({name: self._own_values[name] for name in self._overridden})
            if self._moved:
                self.handle.use(self._own_database)
        self._overridden = set()
        self._moved = False


class SessionStore:
    """All sessions of the server."""

    def __init__(self, engine: Engine) -> None:
        """Start without sessions."""
        self._engine = engine
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def acquire(self, session_id: str, *, must_exist: bool) -> Session:
        """Take a session for one request, making it if need be.

        Raises:
            EngineError: 372 if it must exist and does not, 373 if another request holds it, 202 if there are too many.
        """
        self.expire()
        with self._lock:
            session = self._sessions.get(session_id)
            if session is None:
                if must_exist:
                    raise EngineError.of(372, "SESSION_NOT_FOUND", f"Session {session_id} not found")
                if len(self._sessions) >= _MAX_SESSIONS:
                    raise EngineError.of(202, "TOO_MANY_SIMULTANEOUS_QUERIES", f"More than {_MAX_SESSIONS} sessions")
                session = self._sessions[session_id] = Session(self._engine.open())
            elif session.busy:
                raise EngineError.of(373, "SESSION_IS_LOCKED", f"Session {session_id} is locked by a concurrent client")
            session.busy = True
            return session

    def release(self, session_id: str, timeout_s: float | None, *, drop: bool) -> None:
        """Give a session back; its time begins anew."""
        with self._lock:
            session = self._sessions.get(session_id)
            if session is None:
                return
            session.busy = False
            session.expires_at = time.monotonic() + min(timeout_s or _DEFAULT_TIMEOUT_S, _MAX_TIMEOUT_S)
            if drop:
                del self._sessions[session_id]
        if drop:
            session.handle.close()

    def expire(self, *, everything: bool = False) -> None:
        """Close the sessions whose time is over, or all that no request holds."""
        now = time.monotonic()
        with self._lock:
            over = [
                name
                for name, session in self._sessions.items()
                if not session.busy and (everything or session.expires_at < now)
            ]
            closed = [self._sessions.pop(name) for name in over]
        for session in closed:
            session.handle.close()
