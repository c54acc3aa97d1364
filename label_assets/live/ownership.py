"""Which worker serves which instrument: leases in the Redis that holds the streams.

A lease ends by itself when its worker is not heard of. So two workers never serve one instrument, as long as a worker
that cannot renew its leases in time stops at `holds_until`, by its own clock.

Belongs here: taking, renewing and giving up. Does not belong here: what a worker does with an instrument.
"""

import time
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from label_assets.settings import Settings

SAFETY = 0.8
"""A worker trusts a lease for this share of its length: its message to Redis took time too."""


class Leases(NamedTuple):
    """What a worker holds.

    Attributes:
        held: Instruments, in the order of the settings.
        share: Instruments that are a fair share.
    """

    held: tuple[str, ...]
    share: int


@cache
def _script(name: str) -> str:
    return files("label_assets.live").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")


class Ownership:
    """Leases of one worker. For one thread; `is_sure` for any."""

    def __init__(self, settings: Settings, worker_id: str, instruments: Sequence[str]) -> None:
        """Name the keys; nothing is held yet."""
        self._lease_s = settings.live.lease_s
        self._worker_id = worker_id
        self._instruments = tuple(instruments)
        self._workers_key = f"{settings.live.prefix}:live:workers"
        self._lease_keys = [f"{settings.live.prefix}:live:owner:{name}" for name in instruments]
        self._holds_until = 0.0

    @property
    def is_sure(self) -> bool:
        """Whether what was held at the last renewal is surely still held."""
        return time.monotonic() < self._holds_until

    def tend(self, queue: Any, *, take: bool = True) -> Leases:
        """Renew what is held, and take more up to the fair share.

        Args:
            queue: Connection to Redis.
            take: Whether to take more.
        """
        before = time.monotonic()
        keys = [self._workers_key, *self._lease_keys]
        lease_ms = round(self._lease_s * 1000)
        answer = queue.eval(_script("tend_leases"), len(keys), *keys, self._worker_id, lease_ms, int(take))
        self._holds_until = before + SAFETY * self._lease_s
        held = tuple(name for name, is_held in zip(self._instruments, answer[1:], strict=True) if is_held)
        return Leases(held, int(answer[0]))

    def release(self, queue: Any, instruments: Iterable[str], *, is_end: bool = False) -> None:
        """Give up instruments; at the end of the worker it no longer counts for fair shares either."""
        keys = dict(zip(self._instruments, self._lease_keys, strict=True))
        given_up = [self._workers_key, *(keys[name] for name in instruments)]
        queue.eval(_script("release_leases"), len(given_up), *given_up, self._worker_id, int(is_end))
