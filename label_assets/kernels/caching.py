"""numba's cache of compiled kernels, made to see edits of every file that a kernel calls.

By itself numba compares the source file of the function alone, and would go on to use a compiled function in which an
edited one of another file is inlined (numba's documentation, "Limitations" of caching). Here a kernel is also compiled
anew when a file of ours that its own imports, directly or not, has changed.

Belongs here: what decides whether a compiled function is still good. Does not belong here: where it is kept, which is
up to numba and its settings. Kernels take `njit` from here, so that whoever imports none of them does not import numba.
"""

import ast
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from numba import njit
from numba.core import caching

__all__ = ["digest", "njit"]

_KERNELS = "label_assets.kernels"
_FOLDER = Path(__file__).parent


class _SeesImports:
    """Of files of this package; numba's own locators come after it for all others."""

    def get_source_stamp(self) -> tuple[Any, bytes]:
        """What must be as it was: the file, and those that it imports."""
        return super().get_source_stamp(), digest(Path(self._py_file))  # type: ignore[misc,attr-defined]

    @classmethod
    def from_function(cls, py_func: Any, py_file: str) -> Any:
        """None for a file that is not ours."""
        is_ours = _FOLDER.parent in Path(py_file).resolve().parents
        return super().from_function(py_func, py_file) if is_ours else None  # type: ignore[misc]


class UserProvided(_SeesImports, caching.UserProvidedCacheLocator):
    """In NUMBA_CACHE_DIR, if that is set."""


class InTree(_SeesImports, caching.InTreeCacheLocator):
    """Beside the source."""


class UserWide(_SeesImports, caching.UserWideCacheLocator):
    """In the user's cache folder, where the source's may not be written to."""


caching.CacheImpl._locator_classes[:0] = [UserProvided, InTree, UserWide]  # which numba asks first from now on


@cache
def digest(source: Path) -> bytes:
    """Digest of the kernels' files that a file imports, directly or not."""
    found: set[str] = set()
    pending = [source]
    while pending:
        new = _imported(pending.pop()) - found
        found |= new
        pending += [_FOLDER / f"{name}.py" for name in new]
    every = sha256()
    for name in sorted(found):
        every.update((_FOLDER / f"{name}.py").read_bytes())
    return every.digest()


@cache
def _imported(source: Path) -> set[str]:
    """Names of the kernels' files that a file names in its imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == _KERNELS:
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{_KERNELS}."):
            names.add(str(node.module).removeprefix(f"{_KERNELS}."))
    return names
