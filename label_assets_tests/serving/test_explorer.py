"""The files of the label explorer: what is sent, how long it is kept, who may have it, what it must not contain."""

import gzip
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from label_assets.serving.keys import new_key
from label_assets.serving.routes import explorer
from label_assets.settings import ServeSettings

MakeApi = Callable[..., TestClient]
UNSAFE = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function")
FOLDER = Path(explorer.__file__).parents[1] / "explorer"


def addresses(page: str) -> list[str]:
    return re.findall(r'(?:src|href)="(/explorer/[^"]+)"', page)


def test_the_page_and_every_file_that_it_names(api: TestClient) -> None:
    page = api.get("/")
    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Cache-Control"] == "no-cache"
    named = addresses(page.text)
    assert {Path(address).name for address in named} == {path.name for path in FOLDER.iterdir()} - {"index.html"} | {
        "plotly.min.js"
    }
    for address in named:
        found = api.get(address)
        assert (found.status_code, found.headers["Content-Encoding"]) == (200, "gzip"), address
        assert "immutable" in found.headers["Cache-Control"]
        again = api.get(address, headers={"If-None-Match": found.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        own = FOLDER / Path(address).name
        if own.exists():
            assert found.content == own.read_bytes()
    assert api.get("/", headers={"If-None-Match": page.headers["ETag"]}).status_code == 304
    assert api.head("/").status_code == 200


def test_without_gzip_too(api: TestClient) -> None:
    address = addresses(api.get("/").text)[0]
    plain = api.get(address, headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert plain.content == api.get(address).content


def test_the_library_is_the_file_of_the_package_and_small_on_the_way(api: TestClient) -> None:
    found = api.get("/explorer/any/plotly.min.js")
    assert found.headers["Content-Type"].startswith("text/javascript")
    assert b"plotly.js v" in found.content[:200]
    assert len(gzip.compress(found.content, 6)) < 2_000_000
    assert int(found.headers["Content-Length"]) < 2_000_000


def test_only_our_scripts_and_nothing_inline(api: TestClient) -> None:
    page = api.get("/")
    rules = dict(rule.strip().partition(" ")[::2] for rule in page.headers["Content-Security-Policy"].split(";"))
    assert (rules["default-src"], rules["script-src"], rules["connect-src"]) == ("'none'", "'self'", "'self'")
    assert (rules["frame-ancestors"], rules["style-src-attr"]) == ("'none'", "'none'")
    assert not re.search(r"<script(?![^>]*\ssrc=)", page.text)
    assert not re.search(r"\son[a-z]+=|javascript:|\sstyle=", page.text)
    for path in FOLDER.iterdir():
        text = path.read_text("utf-8")
        assert not re.search(r"https?://", text), f"{path.name} names another host"
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), (
            path.name
        )


@pytest.mark.parametrize(
    "name",
    [
        *(
            "index.html",
            "nothing.js",
            "../app.py",
            "..%2Fapp.py",
            "%2e%2e/app.py",
            "../../v1/catalog",
            "explorer.css%00",
        ),
        *("__init__.py", "....//api.js"),
    ],
)
def test_nothing_but_these_files(api: TestClient, name: str) -> None:
    answer = api.get(f"/explorer/any/{name}")
    assert answer.status_code in {404, 307} or answer.json().keys() >= {"tables"}, answer.text[:200]
    assert b"def " not in answer.content


def test_with_keys_the_page_is_open_and_its_data_is_not(other_api: MakeApi) -> None:
    key, entry = new_key("desk")
    api = other_api(serve=ServeSettings(api_keys=(entry,), requests_per_minute=0))
    page = api.get("/")
    assert page.status_code == 200
    for address in addresses(page.text):
        assert api.get(address).status_code == 200
    data = ("/v1/catalog", "/v1/coverage", "/v1/statistics/EURUSD/H4", "/v1/candles/EURUSD/H4", "/v1/levels/EURUSD/H4")
    for address in data:
        assert api.get(address).status_code == 401, address
        assert api.get(address, headers={"X-API-Key": key}).status_code == 200, address
    for address in ("/explorer", "//", "/explorer/../v1/catalog", "/v1/../explorer/a/api.js", "/./"):
        with api.stream("GET", address) as answer:
            assert b'"tables":' not in answer.read()


NO_LIBRARY = """
import sys
from starlette.testclient import TestClient
from label_assets.serving.app import build_app
from label_assets.settings import load_settings
with TestClient(build_app(load_settings(redis_url="redis://127.0.0.1:1/0"))) as api:
    api.headers["Host"] = "127.0.0.1"
    assert api.get("/").status_code == 200
    assert api.get("/explorer/any/plotly.min.js").status_code == 200
print([name for name in ("plotly", "dagster", "pandas", "numba") if name in sys.modules])
"""


def test_plotly_is_never_imported(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_LIBRARY], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_a_server_without_the_library_says_so(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    explorer._read.cache_clear()
    monkeypatch.setattr(explorer, "find_spec", lambda _: None)
    answer = api.get("/explorer/any/plotly.min.js")
    assert answer.status_code == 404
    assert "label-assets[serve]" in answer.json()["next"]
