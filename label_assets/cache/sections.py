"""Keys of the hot cache, and how long what lies under them lives.

A section is the rows of one instrument, granularity and horizon. Its rows lie under
`{prefix}:{version}:l:{instrument}:{granularity}:{horizon}:{epoch}`, and a sorted set `…:i:…` lists them. The version
changes with the database, the columns of `labels` and everything that enters their values, so that nobody reads rows of
other definitions.

Belongs here: names and times. Does not belong here: values (`cache.record`), Redis (`cache.hot`).
"""

import hashlib
import json
from collections.abc import Iterator
from typing import NamedTuple

from label_assets.cache.record import RECORD
from label_assets.catalog.granularities import DAY_S, granularity
from label_assets.compute.versions import code_versions
from label_assets.settings import Settings


class Section(NamedTuple):
    """Rows of labels of one instrument, granularity and horizon."""

    instrument_id: str
    granularity: str
    horizon: int

    def __str__(self) -> str:
        """As keys have it."""
        return f"{self.instrument_id}:{self.granularity}:{self.horizon}"


def namespace(settings: Settings) -> str:
    """What every key begins with."""
    told = [settings.database, RECORD.descr, code_versions(settings)["labels"]]
    digest = hashlib.blake2b(json.dumps(told).encode(), digest_size=5).hexdigest()
    return f"{settings.live.prefix}:{digest}"


def sections(settings: Settings) -> Iterator[Section]:
    """Every section of a deployment, majors first: in the order in which the instruments are configured."""
    for instrument in settings.instruments:
        for name in settings.granularities:
            for horizon in settings.horizons:
                yield Section(instrument.name, name, horizon)


def span_s(settings: Settings, granularity_name: str) -> int:
    """How far before the newest row of a section its oldest cached row may open [s]."""
    return max(settings.cache.days * DAY_S, settings.cache.least_rows * granularity(granularity_name).seconds)
