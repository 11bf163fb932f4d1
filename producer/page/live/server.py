"""Serving pages to browsers."""

import ipaddress
import socket
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from models.types.errors import SettingsError
from producer.page.live.pages import Answer, LivePages

#: Seconds that a browser may take to ask, after which its connection is closed.
_PATIENCE_S = 30


class PageServer(ThreadingHTTPServer):
    """Answers GET and HEAD; nothing can be changed by it."""

    daemon_threads = True

    def __init__(self, host: str, port: int, pages: LivePages) -> None:
        """Listen there.

        Raises:
            SettingsError: nothing can listen there.
        """
        self.pages = pages
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise SettingsError(f"nothing can listen at {host}:{port}: {error}") from error

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that went away, and of what else goes wrong what the library says."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    @property
    def is_local(self) -> bool:
        """Whether this machine alone can reach it."""
        return ipaddress.ip_address(str(self.server_address[0])).is_loopback

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        host, port = str(self.server_address[0]), self.server_address[1]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "Nightshift", ""
    timeout = _PATIENCE_S

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer(content=False)

    def _answer(self, *, content: bool = True) -> None:
        answer = self.server.pages.answer(self.path) if self._is_asked_by_its_name() else _ELSEWHERE
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.content)))
        self.send_header("X-Content-Type-Options", "nosniff")
        # A batch goes on, and its page with it.
        self.send_header("Cache-Control", "no-cache")
        self.end_headers()
        if content:
            self.wfile.write(answer.content)

    def _is_asked_by_its_name(self) -> bool:
        """Tell whether the browser means this machine; a website whose name leads here could read everything."""
        if not self.server.is_local:
            return True
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
        if host == "localhost":
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    def log_message(self, *_: object) -> None:
        """Say nothing of each picture."""


_ELSEWHERE = Answer(HTTPStatus.FORBIDDEN, "text/plain; charset=utf-8", b"ask for it as localhost\n")
