"""uvicorn's HTTP protocol with bounds that it lacks: on the head of a request, and on clients that take nothing.

Belongs here: what is decided by connection, before there is a request or after its answer. Does not belong here: what
is decided by request (`serving.guard`).
"""

from asyncio import TimerHandle, Transport
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from label_assets.errors import RequestError
from label_assets.serving.problems import problem

MOST_HEAD_BYTES = 16_384
"""Longest head of a request, beside the piece of the network in which it begins [bytes]."""

SEND_TIMEOUT_S = "send_timeout_s"
"""Name in the state of the application of the longest wait for a client, until it has sent the head of a request and
while it takes nothing of an answer [s]."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """As uvicorn makes it."""
        super().__init__(*arguments, **named)
        self._head_bytes = 0
        self._head_is_whole = True
        self._head_timer: TimerHandle | None = None
        self._send_timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Expect a request."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop(self._head_timer)
        self._stop(self._send_timer)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a piece of a request."""
        self._head_bytes += len(data)
        super().data_received(data)
        if not self._head_is_whole and self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response(f"a head of more than {MOST_HEAD_BYTES} bytes")

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, with a problem."""
        refused = RequestError(
            kind="unreadable-request",
            asked="a request",
            found=msg,
            allowed=f"HTTP/1.1 with a head of at most {MOST_HEAD_BYTES} bytes",
            action="mend the client",
        )
        response = problem(refused, refused.kind, "")
        head = [STATUS_LINE[400], b"connection: close\r\n"]
        head += [b"%s: %s\r\n" % pair for pair in response.raw_headers]
        self.transport.write(b"".join([*head, b"\r\n", response.body]))
        self.transport.close()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._head_bytes = 0
        self._expect_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is whole."""
        self._head_is_whole = True
        self._stop(self._head_timer)
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """The client does not take what was sent."""
        super().pause_writing()
        self._stop(self._send_timer)
        self._send_timer = self._abort_later()

    def resume_writing(self) -> None:
        """It has taken it."""
        self._stop(self._send_timer)
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing was asked for a while: close, without waiting for a client that has not taken the last answer."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def _expect_head(self) -> None:
        self._head_is_whole = False
        self._stop(self._head_timer)
        self._head_timer = self._abort_later()

    def _abort_later(self) -> TimerHandle:
        return self.loop.call_later(self.app_state[SEND_TIMEOUT_S], self.transport.abort)

    @staticmethod
    def _stop(timer: TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()
