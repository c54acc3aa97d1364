"""The API starts without what it does not need yet: Dagster never comes, numba with the first computation."""

import subprocess
import sys

START = """
import sys
from label_assets.serving.app import build_app
from label_assets.settings import load_settings
build_app(load_settings()).openapi()
print([name for name in ("dagster", "numba", "llvmlite", "pandas", "matplotlib", "chdb") if name in sys.modules])
"""

COMPUTE = """
import sys
from label_assets.serving import server
import label_assets.compute.inputs, label_assets.compute.families
print([name for name in ("dagster", "numba") if name in sys.modules])
"""


def printed(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def test_nothing_heavy_at_start() -> None:
    assert printed(START) == "[]"


def test_a_computation_brings_numba_and_no_dagster() -> None:
    assert printed(COMPUTE) == "['numba']"
