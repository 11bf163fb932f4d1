"""A link to a PostgreSQL server that is cut: for a while, or when something is committed and nobody hears of it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SOCKET = ".s.PGSQL.5432"


class PostgresProxy:
    """Stands between programs and a server, on a socket in a folder of its own."""

    def __init__(self, folder: Path, server: Path) -> None:
        self.folder = folder
        #: A database behind it.
        self.url = ""
        self._server = server / _SOCKET
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / _SOCKET))
        self._listener.listen()
        #: What a transaction holds whose answer is to be lost.
        self._words: bytes | None = None
        self._cut = threading.Event()
        self._refuses = False
        self._links: list[_Link] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_answer_after(self, words: str) -> None:
        """Cut the link at the COMMIT of the next transaction that holds these words, once it is committed."""
        self._cut.clear()
        self._words = words.encode()

    @property
    def has_cut(self) -> bool:
        """Whether that has happened."""
        return self._cut.is_set()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Cut every link, and refuse new ones while the block runs, as a server does that is started anew."""
        self._refuses = True
        for link in self._links:
            link.end()
        self._links.clear()
        yield
        self._refuses = False

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._refuses:
                    client.close()
                    continue
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self._server))
                link = _Link(self, client, server)
                self._links.append(link)
                link.start()


class _Link:
    """One connection of a program."""

    def __init__(self, proxy: PostgresProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client, self._server = client, server
        self._holds_words = False
        self._is_committing = threading.Event()

    def start(self) -> None:
        for pump in (self._ask, self._answer):
            threading.Thread(target=pump, daemon=True).start()

    def _ask(self) -> None:
        with suppress(OSError):
            while asked := self._client.recv(1_000_000):
                words = self._proxy._words
                self._holds_words = self._holds_words or (words is not None and words in asked)
                if self._holds_words and b"COMMIT" in asked:
                    self._is_committing.set()
                self._server.sendall(asked)
        self.end()

    def _answer(self) -> None:
        with suppress(OSError):
            while answer := self._server.recv(1_000_000):
                if self._is_committing.is_set():
                    # It is committed now. The words count once.
                    self._proxy._words = None
                    self._proxy._cut.set()
                    break
                self._client.sendall(answer)
        self.end()

    def end(self) -> None:
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
