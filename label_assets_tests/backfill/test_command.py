"""`label-assets backfill` as a person uses it who has no Dagster running: files in a folder, one of them broken."""

import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from label_assets.assets.partitions import month_start, next_month
from label_assets.catalog.instruments import DEFAULT_INSTRUMENTS
from label_assets.instance import ASSETS
from label_assets.market.calendar import SessionCalendar
from label_assets.settings import Settings
from label_assets.sources.synthetic import SyntheticMarket
from label_assets_tests.assets.landing import differences, write_rows
from label_assets_tests.backfill.directly import computed_directly
from label_assets_tests.ui.dagster_graphql import wait_for
from label_assets_tests.ui.development import Development, own_development

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NAMES = ("EURUSD", "GBPUSD", "USDJPY")
BROKEN = NAMES[1]
FIRST, LAST = "2025-01", "2025-03"
ASKED = ("backfill", "--from", FIRST, "--to", LAST)
MONTHS = 3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    market = SyntheticMarket(7, DEFAULT_INSTRUMENTS, SessionCalendar("17:00 America/New_York"))
    for name in NAMES:
        candles = market.read(name, "H1", month_start(FIRST), month_start(next_month(LAST)), 2**40).candles
        rows = {column: getattr(candles, column) for column in ("ts", "open", "high", "low", "close", "volume")}
        write_rows(tmp_path, rows, f"{name}_H1.parquet")
    return tmp_path


@pytest.fixture
def development(folder: Path) -> Iterator[Development]:
    with own_development(
        instruments=",".join(NAMES),
        source="landing",
        landing_folder=str(folder),
        base_granularity="H1",
        granularities="H4,D",
        pictures="false",
    ) as made:
        yield made


def table(answer: subprocess.CompletedProcess[str]) -> str:
    """What was printed, as words with one space between them."""
    return " ".join(answer.stdout.split())


def test_failures_are_told_the_rest_is_done_and_ctrl_c_cancels(
    development: Development, folder: Path, make_settings: Callable[..., Settings]
) -> None:
    whole = folder / f"{BROKEN}_H1.parquet"
    good = shutil.copy(whole, folder.parent / "good.parquet")
    whole.write_bytes(whole.read_bytes()[:-100])
    answer = development.run(*ASKED)
    said = table(answer)
    of_one = MONTHS * len(ASSETS)
    partitions, done = len(NAMES) * of_one, (len(NAMES) - 1) * of_one
    assert answer.returncode == 1, (said, answer.stderr)
    assert f"{partitions} partitions of {len(ASSETS)} assets" in said
    assert f"{done} of {partitions} partitions materialized" in said
    assert re.search(rf"raw_candles {BROKEN}\|{FIRST}\.\.{LAST} run [0-9a-f-]{{36}} ", said)
    assert whole.name in said.replace(" ", ""), "the cause names the file; long words are folded"
    (name,) = re.findall(r"the rest: label-assets backfill --resume (\w+)", said)

    # Ctrl-C while it works on the rest, then the rest of the rest.
    shutil.copy(good, whole)
    log = development.home / "daemon.log"
    log.unlink()
    process = subprocess.Popen(
        development.command("backfill", "--resume", name),
        env=development.environment,
        cwd=development.home,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for("its run is queued", lambda: log.exists() and "Submitted run" in log.read_text())
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=300)
    said = " ".join(said.split())
    assert process.returncode == 130, said
    assert "CANCELED" in said
    assert "the rest: label-assets backfill --resume" in said

    # The daemon cancels within half a minute: what began may have been done by then.
    answer = development.run(*ASKED, "--missing-only")
    assert answer.returncode == 0, (answer.stdout, answer.stderr)
    assert "nothing is missing" in answer.stdout or "COMPLETED_SUCCESS" in answer.stdout
    again = development.run(*ASKED, "--missing-only")
    assert (again.returncode, again.stdout.strip()) == (0, "nothing is missing")
    assert (
        differences(computed_directly(make_settings, development.settings, (FIRST, LAST)), development.contents()) == {}
    )
    assert not development.dagster(), "the daemon that it started ended with it"
