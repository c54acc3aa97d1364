"""The label explorer: a page at `/` and the files that it consists of.

Belongs here: sending files. Does not belong here: what they do (`serving/explorer`), the data that they show (the other
routes).

The page is small and asked for each time; it names its files by a folder of their digest, so that a browser keeps them
for a year and still takes the new ones after an upgrade.
"""

import asyncio
import gzip
import hashlib
from functools import cache
from importlib import resources
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from fastapi import APIRouter, Request, Response

from label_assets.errors import RequestError
from label_assets.serving.guard import EXPLORER_FILES
from label_assets.serving.problems import quoted

router = APIRouter(include_in_schema=False)

CHARTS = "plotly.min.js"
SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src-elem 'self' 'unsafe-inline'; style-src-attr 'none'; "
        "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""No script but our files. Plotly adds a style sheet as an element, hence `unsafe-inline` for those alone."""

_MEDIA_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
_FOLDER = "explorer-files"
_PAGE = "index.html"
_YEAR = "public, max-age=31536000, immutable"


class _File(NamedTuple):
    """A file as it is sent.

    Attributes:
        packed: Its bytes, compressed with gzip.
        media_type: Header Content-Type.
        etag: Header ETag.
    """

    packed: bytes
    media_type: str
    etag: str


def _folder() -> Path:
    return Path(str(resources.files("label_assets.serving"))) / "explorer"


def _charts() -> Path:
    """The file of plotly.js in the package `plotly`, which is not imported: that would take a second.

    Raises:
        RequestError: the package is not installed.
    """
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        raise RequestError(
            kind="unknown-address",
            asked=f"the chart library {CHARTS}",
            found="the package plotly is not installed",
            allowed="an installation with the extra `serve`",
            action="pip install 'label-assets[serve]' where this server runs",
        )
    return Path(spec.origin).parent / "package_data" / CHARTS


def _own_names() -> frozenset[str]:
    return frozenset(path.name for path in _folder().iterdir() if path.suffix in _MEDIA_TYPES)


@cache
def _read(name: str) -> _File:
    """A file of the page, read and compressed once."""
    body = (_charts() if name == CHARTS else _folder() / name).read_bytes()
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    return _File(gzip.compress(body, 6, mtime=0), _MEDIA_TYPES[Path(name).suffix], etag)


@cache
def _page() -> _File:
    """The page, with the folder of its files in it."""
    digest = hashlib.blake2b(digest_size=8)
    for name in sorted(_own_names()):
        digest.update((_folder() / name).read_bytes())
    digest.update(version("plotly").encode() if find_spec("plotly") else b"")
    text = (_folder() / _PAGE).read_text("utf-8").replace(_FOLDER, f"{EXPLORER_FILES}{digest.hexdigest()}")
    body = text.encode()
    return _File(gzip.compress(body, mtime=0), "text/html; charset=utf-8", f'"{hashlib.sha256(body).hexdigest()[:24]}"')


@router.get("/")
@router.head("/")
async def page(request: Request) -> Response:
    """The page."""
    return _sent(request, _page(), "no-cache", SECURITY)


@router.get(EXPLORER_FILES + "{digest}/{name}")
@router.head(EXPLORER_FILES + "{digest}/{name}")
async def file(request: Request, name: str) -> Response:
    """A file of the page. The digest only makes its address another one after an upgrade.

    Raises:
        RequestError: for a name that is none of them.
    """
    if name != CHARTS and name not in _own_names():
        raise RequestError(
            kind="unknown-address",
            asked=quoted(request.url.path),
            found="no file of the label explorer",
            allowed="those that the page at / names",
            action="open / anew",
        )
    return _sent(request, await asyncio.to_thread(_read, name), _YEAR, {})


def _sent(request: Request, found: _File, cache_control: str, added: dict[str, str]) -> Response:
    headers = {"ETag": found.etag, "Cache-Control": cache_control, "Vary": "Accept-Encoding", **added}
    if found.etag in {part.strip() for part in request.headers.get("if-none-match", "").split(",")}:
        return Response(status_code=304, headers=headers)
    body = found.packed
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
    else:
        body = gzip.decompress(body)
    return Response(body, media_type=found.media_type, headers=headers)
