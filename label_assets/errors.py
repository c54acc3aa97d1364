"""Every error that label_assets raises on purpose.

    LabelAssetsError
    ├── SettingsError               a setting or a declaration cannot be used
    ├── CatalogError                an instrument, granularity, family or column that the catalogue does not hold
    ├── CandleError                 candles that break a rule of LABELS.md §1 where no row may be dropped
    ├── SourceError                 a source of candles
    │   ├── SourceUnreadableError   a file that cannot be read at all; its partition fails and nothing changes
    │   └── SourceEmptyError        a source that has nothing for what was asked
    ├── LiveError                   the live engine: Redis does not answer, or a worker cannot go on
    ├── RequestError                a request that the API refuses; carries the kind of problem
    ├── CacheUnavailableError       Redis as the hot cache; what it lacks is read from ClickHouse
    └── WarehouseError              ClickHouse
        ├── WarehouseUnavailableError   no server, wrong address or password
        ├── MigrationRefusedError       a schema change other than added columns; carries the plan
        └── EmbeddedServerError         a local server (ClickHouse, PostgreSQL, Redis) that does not start or stop

Belongs here: classes and how a message is put together. Does not belong here: texts of single errors; they stand where
they are raised.
"""


class LabelAssetsError(Exception):
    """Base of all errors of this package.

    Args:
        asked: What was asked for, in the words of the caller.
        found: What was found instead.
        allowed: What would have been accepted.
        action: What the reader should do next.
    """

    def __init__(self, *, asked: str, found: str, allowed: str, action: str) -> None:
        """Keep the four parts and join them to one message."""
        self.asked = asked
        self.found = found
        self.allowed = allowed
        self.action = action
        super().__init__(f"Asked: {asked}. Found: {found}. Allowed: {allowed}. Next: {action}.")

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by keyword: an exception with keyword-only arguments does not survive a process border otherwise."""
        return (_rebuild, (type(self), self.asked, self.found, self.allowed, self.action))


def _rebuild(cls: type[LabelAssetsError], asked: str, found: str, allowed: str, action: str) -> LabelAssetsError:
    return cls(asked=asked, found=found, allowed=allowed, action=action)


class SettingsError(LabelAssetsError):
    """A setting or a declaration cannot be used."""


class CatalogError(LabelAssetsError):
    """The catalogue does not hold what was asked for."""


class CandleError(LabelAssetsError):
    """Candles that break a rule where no row may be dropped."""


class SourceError(LabelAssetsError):
    """A source of candles cannot serve what was asked."""


class SourceUnreadableError(SourceError):
    """A file that cannot be read at all."""


class SourceEmptyError(SourceError):
    """A source that has nothing for what was asked."""


class LiveError(LabelAssetsError):
    """The live engine cannot work."""


class RequestError(LabelAssetsError):
    """A request that the API refuses or cannot answer.

    Args:
        kind: Kind of problem, see `serving.problems`.
        asked: As in `LabelAssetsError`, as are the others.
        found: …
        allowed: …
        action: …
    """

    def __init__(self, *, kind: str, asked: str, found: str, allowed: str, action: str) -> None:
        """Keep the kind too."""
        super().__init__(asked=asked, found=found, allowed=allowed, action=action)
        self.kind = kind

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with the kind."""
        return (_rebuild_request, (self.kind, self.asked, self.found, self.allowed, self.action))


def _rebuild_request(kind: str, asked: str, found: str, allowed: str, action: str) -> RequestError:
    return RequestError(kind=kind, asked=asked, found=found, allowed=allowed, action=action)


class CacheUnavailableError(LabelAssetsError):
    """The hot cache does not answer."""


class WarehouseError(LabelAssetsError):
    """ClickHouse did not do what was asked."""


class WarehouseUnavailableError(WarehouseError):
    """No server at the address, or it refuses the credentials."""


class MigrationRefusedError(WarehouseError):
    """A change of schema that would lose or reinterpret stored data."""


class EmbeddedServerError(WarehouseError):
    """A local server does not start, answer or stop."""
