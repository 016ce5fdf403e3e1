"""A TCP proxy that can be cut or frozen, so that a test can make a shared server unreachable for one client."""

import contextlib
import socket
import threading
from collections.abc import Iterator

BUFFER = 65536
HOST = "127.0.0.1"


class Proxy:
    """Forwards TCP connections to a local port.

    `cut` closes them all and refuses new ones, until `restore`. `freeze` accepts connections and forwards nothing, as a
    server that is stopped by SIGSTOP, until `thaw`. With `rewrite`, the server sees its own address in requests, and
    clients the proxy's in answers: MLflow refuses others, and Kafka's clients connect to the address in its answers.
    """

    def __init__(self, target: int, *, rewrite: bool = False) -> None:
        self._target = target
        self._rewrite = rewrite
        self._listener: socket.socket | None = None
        self._open: list[socket.socket] = []
        self._flowing = threading.Event()
        self._flowing.set()
        self.cut_after: int | None = None
        """Cut each connection after this many bytes of the server."""
        self.port = 0
        self.restore()

    def restore(self) -> None:
        """Accept connections again, on the same port as before."""
        self._listener = socket.create_server((HOST, self.port))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Close all connections and refuse new ones."""
        assert self._listener is not None
        self._flowing.set()
        for end in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._open.clear()

    def freeze(self) -> None:
        """Forward nothing."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Forward again, beginning with what arrived meanwhile."""
        self._flowing.set()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection((HOST, self._target))
                self._open += [near, far]
                requests = near, far, self.port, self._target, None
                answers = far, near, self._target, self.port, self.cut_after
                for arguments in (requests, answers):
                    threading.Thread(target=self._forward, args=arguments, daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, old: int, new: int, limit: int | None) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(BUFFER):
                self._flowing.wait()
                if limit is not None:
                    data, limit = data[:limit], max(0, limit - len(data))
                sink.sendall(_rewritten(data, old, new) if self._rewrite else data)
                if limit == 0:
                    break
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR if limit == 0 else socket.SHUT_WR)


def _rewritten(data: bytes, old: int, new: int) -> bytes:
    """Replace the port after the host, as Kafka and as HTTP write it."""
    host = HOST.encode()
    data = data.replace(host + old.to_bytes(4), host + new.to_bytes(4))
    return data.replace(b"%b:%d" % (host, old), b"%b:%d" % (host, new))


@contextlib.contextmanager
def frozen_server() -> Iterator[int]:
    """The port of a server that accepts connections and never answers."""
    with socket.create_server((HOST, 0)) as server:
        yield int(server.getsockname()[1])
