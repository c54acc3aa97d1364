"""A compiled kernel is used as long as every file that it is made of is as it was."""

from pathlib import Path

import pytest

from label_assets.kernels import barriers, caching, level_barriers
from label_assets.live import fused


@pytest.mark.parametrize("compiled", [barriers._kernel, level_barriers._place, fused.newest_columns])
def test_kernels_are_kept_by_what_they_import(compiled):
    assert isinstance(compiled._cache._impl.locator, caching._SeesImports)


def test_the_files_of_a_kernel_are_found():
    assert {"barriers", "levels", "windows"} <= caching._imported(Path(level_barriers.__file__))
    assert {"barriers", "level_breaks", "sample_weights"} <= caching._imported(Path(fused.__file__))


def test_an_edit_anywhere_below_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(caching, "_FOLDER", tmp_path)
    (tmp_path / "top.py").write_text("from label_assets.kernels.middle import compute\n")
    (tmp_path / "middle.py").write_text("from label_assets.kernels import bottom\nimport numpy\n")
    (tmp_path / "bottom.py").write_text("A = 1\n")
    (tmp_path / "other.py").write_text("A = 1\n")

    def seen():
        caching.digest.cache_clear()
        caching._imported.cache_clear()
        return caching.digest(tmp_path / "top.py")

    before = seen()
    (tmp_path / "other.py").write_text("A = 2\n")
    assert seen() == before
    (tmp_path / "bottom.py").write_text("A = 2\n")
    assert seen() != before
    caching.digest.cache_clear()
    caching._imported.cache_clear()
