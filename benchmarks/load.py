"""A load generator for HTTP: clients on connections that stay open, in a process of its own.

`python -m benchmarks.load PLAN` reads the plan, a JSON file (see `Plan`), and prints what it saw as JSON. At a pace a
request is timed from when it was due, not from when it was sent: a server that stalls is charged for every request that
it kept waiting. Without a pace a client sends the next request when it has the answer.

Belongs here: sending and timing. Does not belong here: which requests (`serving`).
"""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Plan:
    """What is to be sent.

    Attributes:
        port: Port on 127.0.0.1.
        requests: Requests as HTTP/1.1 text; each time one is drawn.
        weights: How often each is drawn, relative to the others; empty means all the same.
        clients: Connections.
        seconds: How long.
        per_second: Requests of all clients in a second; 0 means as many as they get answers.
        seed: Seed of what is drawn.
    """

    port: int
    requests: list[str]
    clients: int
    seconds: float
    per_second: float = 0.0
    weights: list[float] = field(default_factory=list)
    seed: int = 7


@dataclass(frozen=True)
class Seen:
    """What came back.

    Attributes:
        milliseconds: Of each answer, from when it was to be sent until it was whole [ms].
        statuses: Answers by status.
        sources: Answers by the header X-Source.
        seconds: From the first request to the last answer [s].
    """

    milliseconds: list[float]
    statuses: dict[str, int]
    sources: dict[str, int]
    seconds: float


def run_load(plan: Plan, folder: Path) -> Seen:
    """Send what a plan says, from another process."""
    file = folder / "plan.json"
    file.write_text(json.dumps(asdict(plan)), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load", str(file)],
        stdout=subprocess.PIPE,
        timeout=plan.seconds + 120,
        check=True,
    )
    return Seen(**json.loads(done.stdout))


class _Client:
    """One connection."""

    def __init__(self, plan: Plan, number: int, begin: float) -> None:
        self._plan = plan
        self._number = number
        self._begin = begin
        self._random = random.Random(plan.seed * 1000 + number)
        self.milliseconds: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.sources: Counter[str] = Counter()

    async def run(self) -> None:
        """Send until the time is over."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._plan.port)
        end = self._begin + self._plan.seconds
        pause = self._plan.clients / self._plan.per_second if self._plan.per_second else 0.0
        due = self._begin + pause * self._number / self._plan.clients
        while due < end:
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            (text,) = self._random.choices(self._plan.requests, self._plan.weights or None)
            writer.write(text.encode())
            await self._answer(reader)
            now = time.perf_counter()
            self.milliseconds.append((now - due) * 1e3)
            due = due + pause if pause else now
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        await reader.readexactly(int(headers.get("content-length", "0")))
        self.statuses[first.split(" ")[1]] += 1
        self.sources[headers.get("x-source", "")] += 1


async def _load(plan: Plan) -> Seen:
    begin = time.perf_counter() + 0.1
    clients = [_Client(plan, number, begin) for number in range(plan.clients)]
    await asyncio.gather(*(client.run() for client in clients))
    statuses, sources = Counter[str](), Counter[str]()
    for client in clients:
        statuses += client.statuses
        sources += client.sources
    milliseconds = [value for client in clients for value in client.milliseconds]
    return Seen(milliseconds, dict(statuses), dict(sources), time.perf_counter() - begin)


def main() -> None:
    """Send what the plan says and print what came back."""
    import uvloop  # noqa: PLC0415 - the generator must not be the slower side

    told: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(json.dumps(asdict(uvloop.run(_load(Plan(**told))))))  # noqa: T201 - a program


if __name__ == "__main__":
    main()
