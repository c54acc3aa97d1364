"""The disk under the embedded store is full: the run says so, nothing is lost, and the same run later is whole."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from label_assets.settings import Settings, load_settings
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.embedded import clickhouse
from label_assets_tests.assets.filled import Filled
from label_assets_tests.assets.landing import contents, differences, failures, run_months, run_well, small

pytestmark = pytest.mark.slow

JANUARY, FEBRUARY = "2024-01", "2024-02"
SIZE = "512m"


@pytest.fixture
def disk() -> Iterator[Path]:
    """A file system of its own."""
    folder = Path(tempfile.mkdtemp(prefix="label_assets_disk_"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        clickhouse.stop(folder)
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def filled_up(disk: Path, leave: int) -> Path:
    """A file that takes all but some bytes."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        file.write(bytes(shutil.disk_usage(disk).free - leave))
    return filler


@pytest.mark.parametrize(("leave", "is_whole"), [(40_000, True), (1_500_000, False)], ids=["full", "nearly full"])
def test_run_on_a_full_disk(
    disk: Path, make_settings: Callable[..., Settings], fill: Filled, leave: int, is_whole: bool
) -> None:
    settings = load_settings(**small(home=disk, pictures=False))
    run_well(settings, JANUARY)
    warehouse = Warehouse(settings)
    before = contents(warehouse)
    filler = filled_up(disk, leave)
    result = run_months(settings, JANUARY, FEBRUARY)
    assert not result.success
    for step, message in failures(result).items():
        assert message.startswith("label_assets.errors.WarehouseError"), (step, message)
        assert "space" in message, (step, message)
        assert "Next: " in message, (step, message)
    assert bool(differences(before, contents(warehouse))) != is_whole, "readable, and as it was where nothing fitted"

    filler.unlink()
    run_well(settings, JANUARY, FEBRUARY)
    elsewhere = make_settings(**small(pictures=False))
    fill(elsewhere, JANUARY, FEBRUARY)
    other = Warehouse(elsewhere)
    assert differences(contents(other), contents(warehouse)) == {}
    other.close()
    warehouse.close()
