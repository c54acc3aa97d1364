"""Where the time of a run goes: the calls at its borders are timed, each without those that it makes in turn.

Nothing of the product knows of it: methods of clients and a few functions are wrapped, in the process of the benchmark.

Belongs here: wrapping and adding up. Does not belong here: which calls these are (`history`).
"""

import functools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Stopwatch:
    """Wall time of phases.

    Attributes:
        seconds: Time by phase in the thread that made this, without phases inside of others [s].
        elsewhere: The same in other threads; it overlaps the former.
        calls: Number of calls by phase.
    """

    def __init__(self) -> None:
        """At zero."""
        self.seconds: dict[str, float] = {}
        self.elsewhere: dict[str, float] = {}
        self.calls: dict[str, int] = {}
        self._home = threading.get_ident()
        self._inner = threading.local()
        self._wrapped: list[tuple[Any, str, Any]] = []

    def wrap(self, owner: Any, name: str, phase: str) -> None:
        """Time an attribute of a module or class as a phase.

        Raises:
            AttributeError: the owner has no such attribute: the split must not silently lose a phase.
        """
        inner = getattr(owner, name)

        @functools.wraps(inner)
        def timed(*arguments: Any, **options: Any) -> Any:
            with self.phase(phase):
                return inner(*arguments, **options)

        self._wrapped.append((owner, name, owner.__dict__.get(name)))
        setattr(owner, name, timed)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time the body."""
        started, outer = time.perf_counter(), getattr(self._inner, "seconds", 0.0)
        self._inner.seconds = 0.0
        try:
            yield
        finally:
            took = time.perf_counter() - started
            total = self.seconds if threading.get_ident() == self._home else self.elsewhere
            total[name] = total.get(name, 0.0) + took - self._inner.seconds
            self.calls[name] = self.calls.get(name, 0) + 1
            self._inner.seconds = outer + took

    def unwrap(self) -> None:
        """Put back what was there."""
        for owner, name, own in reversed(self._wrapped):
            if own is None:
                delattr(owner, name)
            else:
                setattr(owner, name, own)
        self._wrapped.clear()
