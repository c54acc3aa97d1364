"""What is sent to Redis, the same for clients that wait and for those that do not.

Belongs here: scripts, keys and arguments. Does not belong here: connections (`cache.hot`).
"""

import random
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from label_assets.cache.sections import Section, namespace, span_s
from label_assets.settings import Settings

INDEX_LIVES = 2
"""An index lives so many times as long as its rows, so that rows expire one by one and not all at once with it."""


class Call(NamedTuple):
    """A script with what it is given; `redis.eval(*call)` runs it."""

    script: str
    key_count: int
    values: Sequence[str | bytes | int]

    @property
    def command(self) -> tuple[str | bytes | int, ...]:
        """The command as words."""
        return ("EVAL", self.script, self.key_count, *self.values)


@cache
def _script(name: str) -> str:
    text = files("label_assets.cache").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))


class Commands:
    """Commands for the cache of one deployment."""

    def __init__(self, settings: Settings) -> None:
        """Name the keys."""
        self.namespace = namespace(settings)
        self._settings = settings

    def row_key(self, section: Section, epoch: int) -> str:
        """Key of a row."""
        return f"{self._row_prefix(section)}{epoch}"

    def channel(self, section: Section) -> str:
        """Channel on which changed rows of a section are published; `…:c:*` are all."""
        return f"{self.namespace}:c:{section}"

    def watermark_key(self) -> str:
        """Key of a hash: for each section the version up to which it holds what ClickHouse holds."""
        return f"{self.namespace}:w"

    def warming_key(self) -> str:
        """Key of the lock of whoever brings the cache up to date."""
        return f"{self.namespace}:warming"

    def index_key(self, section: Section) -> str:
        """Key of the sorted set that lists the rows of a section."""
        return f"{self.namespace}:i:{section}"

    def _row_prefix(self, section: Section) -> str:
        return f"{self.namespace}:l:{section}:"

    def life_ms(self, granularity_name: str) -> int:
        """Life of a row of a granularity [ms]: the span, and a random part of that longer."""
        jitter = random.uniform(0, self._settings.cache.ttl_jitter)
        return round(span_s(self._settings, granularity_name) * 1000 * (1 + jitter))

    def write_rows(self, section: Section, epochs: Sequence[int], values: Sequence[bytes], first_ts: int = -1) -> Call:
        """Write rows; from `first_ts` on [epoch s] the cache then holds all rows there are (−1: as it did)."""
        span = span_s(self._settings, section.granularity)
        index_life = round(span * 1000 * INDEX_LIVES * (1 + self._settings.cache.ttl_jitter))
        keys = [self.index_key(section), *(self.row_key(section, epoch) for epoch in epochs)]
        arguments: list[str | bytes | int] = [span, index_life, first_ts]
        for epoch, value in zip(epochs, values, strict=True):
            arguments += [epoch, self.life_ms(section.granularity), value]
        return Call(_script("write_rows"), len(keys), [*keys, *arguments])

    def remove_rows(self, section: Section, epochs: Sequence[int], before_version: int) -> Call:
        """Remove rows whose version is smaller."""
        keys = [self.index_key(section), *(self.row_key(section, epoch) for epoch in epochs)]
        return Call(_script("remove_rows"), len(keys), [*keys, before_version, *epochs])

    def read_range(self, section: Section, start_ts: int, end_ts: int, most: int) -> Call:
        """Rows that open in [start, end), oldest first."""
        return Call(
            _script("read_range"), 1, [self.index_key(section), self._row_prefix(section), start_ts, end_ts, most]
        )

    def read_latest(self, section: Section, count: int, before_ts: int) -> Call:
        """The newest rows that open before a time, newest first."""
        return Call(_script("read_latest"), 1, [self.index_key(section), self._row_prefix(section), before_ts, count])
