"""The readers under a fuzzer, for a bounded time."""

import gzip
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LINES = {
    "csv": [
        b"\x002018-01-01 00:00,1.1,1.3,1.0,1.2,5\n2018-01-01 00:01,1.2,1.4,1.1,1.3,6\r\n\n",
        b'\x02t,o,h,l,c\n"2018-01-01 00:00","1.1",1.3,1.0,1.2\n',
        b"\x1001.01.2018 00:00:00.000 GMT+0100,1.1,1.3,1.0,1.2,5\n",
        b"\x341514764800;1.1;1.3;1.0;1.2;5\n",
        b"\x03" + "2018-01-01,00:00,1.1,1.3,1.0,1.2,é,5\n".encode("utf-16"),
        b"\x00" + gzip.compress(b"2018-01-01 00:00,1.1,1.3,1.0,1.2,5\n"),
    ],
    "presets": [
        b"\x00Gmt time,Open,High,Low,Close,Volume\n01.01.2018 00:00:00.000,1.1,1.3,1.0,1.2,5\n",
        b"\x00Local time,Open,High,Low,Close,Volume\n01.01.2018 00:00:00.000 GMT+0100,1.1,1.3,1.0,1.2,5\n",
        b"\x0120180101 000000;1.1;1.3;1.0;1.2;5\n",
        b"\x02<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n"
        b"2018.01.01\t00:00:00\t1.1\t1.3\t1.0\t1.2\t5\t0\t12\n",
        b"\x022018.01.01,00:00,1.1,1.3,1.0,1.2,5\n-(2018.01.01,00:01,1,1,1,1,5\n",
        b"\x03TIME\tOPEN\tCLOSE\tHIGH\tLOW\tVOLUME\n1514764800\t1.1\t1.2\t1.3\t1.0\t5.0\n",
        b"\x040,1.1,1.3,1.0,1.2,7,1.1,1.3,1.0,1.2,8\n",
    ],
    "json": [
        b"\x00"
        + json.dumps(
            {
                "granularity": "M1",
                "candles": [
                    {"time": "2018-01-01T00:00:00Z", "complete": True, "volume": 5, side: dict.fromkeys("ohlc", "1.1")}
                    for side in ("mid", "bid")
                ],
            }
        ).encode(),
        b'\x00{"candles": []}\n{"candles": [{"time": "1514764800", "bid": {"o": 1}}]}',
        b"\x01[[1514764800000, 1.1, 1.3, 1.0, 1.2, 5], [1514764860000, NaN, 1e999, true, {}, null], []]",
    ],
}
SECONDS = os.environ.get("FUZZ_SECONDS", "20")
"""How long each format is fuzzed; more than a look costs more than a suite has."""

TOKENS = ['","', '"\\""', '"\\x0a"', '"\\x0d"', '"1e999"', '"NaN"', '"GMT+0100"', '"\\xff\\xfe"', '"\\xef\\xbb\\xbf"']
TOKENS += ['"{\\"candles\\":["', '"\\"complete\\":false"', '"\\x00"', '";"', '"<OPEN>"', '"2018.02.30"', '"-1"']


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(LINES))
def test_fuzzing_finds_nothing(kind: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed: it has wheels for few platforms")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, content in enumerate(LINES[kind]):
        (corpus / f"seed_{number}").write_bytes(content)
    (tmp_path / "tokens").write_text("\n".join(TOKENS))
    options = ["-runs=100000", f"-max_total_time={SECONDS}", "-max_len=400", "-seed=1", f"-dict={tmp_path / 'tokens'}"]
    done = subprocess.run(
        [sys.executable, "-m", "label_assets_tests.sources.formats.fuzzing", kind, str(corpus), *options],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[3]), "PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)},
    )
    told = done.stdout + done.stderr
    assert done.returncode == 0, told[-6_000:]
    assert "Done " in told, told[-2_000:]
