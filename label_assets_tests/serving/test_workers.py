"""Several workers on one port."""

import re

from label_assets.settings import Settings
from label_assets_tests.serving.server import Running, ask, serving

LATEST = "/v1/labels/EURUSD/H4/latest"


def counted(running: Running) -> int:
    text = ask(running, "/metrics").body.decode()
    route = r'route="/v1/labels/{instrument}/{granularity}/latest",status="200"'
    return sum(int(float(value)) for value in re.findall(rf"api_requests_total{{.*{re.escape(route)}}} (\S+)", text))


def test_workers_share_a_port_and_their_counts(stored: Settings) -> None:
    with serving(stored, workers=2) as running:
        answers = [ask(running, LATEST) for _ in range(30)]
        assert {answer.status for answer in answers} == {200}
        assert len({answer.body for answer in answers}) == 1
        # Whichever worker is asked tells of both.
        assert [counted(running) for _ in range(6)] == [30] * 6
    assert running.process.returncode == 0
