"""A webhook on this machine that keeps what it is sent and answers as it is told."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

SECRET = "T0PSECRET"


@dataclass
class Listener:
    """What came, and what is answered: the statuses in turn, then the last one; 0 answers never."""

    url: str = ""
    statuses: list[int] = field(default_factory=lambda: [200])
    bodies: list[dict[str, Any]] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    released: Event = field(default_factory=Event)

    @property
    def texts(self) -> list[str]:
        return [body["text"] for body in self.bodies]

    def next_status(self) -> int:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


@contextmanager
def listening() -> Iterator[Listener]:
    """A listener on a free port of 127.0.0.1 whose address holds a secret."""
    listener = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            listener.kinds.append(f"{self.command} {self.headers['Content-Type']}")
            listener.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status = listener.next_status()
            if not status:
                listener.released.wait(30)
                return
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        def do_GET(self) -> None:
            listener.kinds.append("GET")
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    listener.url = f"http://127.0.0.1:{server.server_address[1]}/hooks/{SECRET}"
    try:
        yield listener
    finally:
        listener.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
