"""A TCP proxy in the test's own process whose connections can fall silent, all or one: nothing is closed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

#: Bytes that one read passes on at most.
_CHUNK = 1 << 16


class _Joined:
    """One connection to the proxy, and the proxy's own to the server. Open: bytes go through."""

    def __init__(self, near: socket.socket, far: socket.socket, silent: bool) -> None:
        self._ends = (near, far)
        #: How the server sees this connection.
        self.port: int = far.getsockname()[1]
        self._asks, self._answers = threading.Event(), threading.Event()
        self.silence(silent)
        for source, sink, gate in ((near, far, self._asks), (far, near, self._answers)):
            threading.Thread(target=self._pass_on, args=(source, sink, gate), daemon=True).start()

    def silence(self, silent: bool) -> None:
        for gate in (self._asks, self._answers):
            if silent:
                gate.clear()
            else:
                gate.set()

    def silence_answers(self) -> None:
        self._answers.clear()

    def close(self) -> None:
        self.silence(False)
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _pass_on(self, source: socket.socket, sink: socket.socket, gate: threading.Event) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                gate.wait()
                sink.sendall(data)
            gate.wait()
        self.close()


class Proxy:
    """Listens on ``port`` for a server on the same machine."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._silent = False
        self._joined: list[_Joined] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, db: int = 0) -> str:
        """The broker URL of one of the server's databases, through here."""
        return f"redis://127.0.0.1:{self.port}/{db}"

    def silence(self) -> None:
        """Let nothing through any more, also on connections that are yet to be made."""
        self._silent = True
        for joined in self._joined:
            joined.silence(True)

    def silence_one(self) -> None:
        """The same for the oldest connection alone."""
        self._joined[0].silence(True)

    def silence_answers_to(self, port: int) -> None:
        """Let the server hear the client that it sees at this port, and the client hear nothing."""
        for joined in self._joined:
            if joined.port == port:
                joined.silence_answers()

    def heal(self, old: bool = True) -> None:
        """Let everything through again, what was sent meanwhile too; without ``old``, only what is new."""
        self._silent = False
        for joined in self._joined if old else ():
            joined.silence(False)

    def close(self) -> None:
        """End it, and all its connections."""
        self._listening.close()
        for joined in self._joined:
            joined.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._joined.append(_Joined(near, far, self._silent))


@contextmanager
def proxy_of(port: int) -> Iterator[Proxy]:
    """A proxy of a server, until the block ends."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
