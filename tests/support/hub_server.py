"""A small stand-in for the model hub: what `huggingface_hub` asks of it to list and fetch one repository."""

import hashlib
import json
import re
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class HubServer:
    """Serves `files` as repository `owner/shoes`; `cut` names a file whose first download breaks off half way."""

    def __init__(self, files: dict[str, Path]) -> None:
        self.files = files
        self.cut: str | None = None
        self.fetched: Counter[str] = Counter()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(hub) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the handler's below
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path = urlsplit(self.path).path
                if re.fullmatch(r"/api/models/owner/shoes/tree/(main|" + COMMIT + ")", path):
                    self._json(
                        [{"type": "file", "path": f, "size": p.stat().st_size} | _oid(p) for f, p in hub.files.items()]
                    )
                elif re.fullmatch(r"/api/models/owner/shoes(/revision/(main|" + COMMIT + "))?", path):
                    siblings = [{"rfilename": name} for name in hub.files]
                    self._json({"id": "owner/shoes", "sha": COMMIT, "siblings": siblings, "tags": []})
                elif found := re.fullmatch(rf"/owner/shoes/resolve/(?:main|{COMMIT})/(.+)", path):
                    self._file(found[1])
                elif path.startswith("/api/models/owner/shoes/"):
                    self._refuse("RevisionNotFound")
                else:
                    self._refuse("GatedRepo" if "gated" in path else "RepoNotFound", 403 if "gated" in path else 404)

            do_HEAD = do_GET  # noqa: N815 - the base class calls it so

            def _refuse(self, code: str, status: int = 404) -> None:
                self._send(status, b"", {"X-Error-Code": code, "X-Error-Message": code})

            def _json(self, value: object) -> None:
                self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

            def _file(self, name: str) -> None:
                if name not in hub.files:
                    return self._refuse("EntryNotFound")
                content = hub.files[name].read_bytes()
                headers = {
                    "ETag": f'"{_oid(hub.files[name])["oid"]}"',
                    "X-Repo-Commit": COMMIT,
                    "Accept-Ranges": "bytes",
                }
                asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
                if asked:
                    start = int(asked[1])
                    headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
                    content = content[start:]
                if self.command == "GET":
                    hub.fetched[name] += 1
                    if hub.cut == name:
                        hub.cut = None
                        return self._send(206 if asked else 200, content, headers, half=True)
                return self._send(206 if asked else 200, content, headers)

            def _send(self, status: int, body: bytes, headers: dict[str, str], *, half: bool = False) -> None:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body[: len(body) // 2] if half else body)
                if half:
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Keep the tests' output for pytest."""

        return Handler


def _oid(path: Path) -> dict[str, str]:
    return {"oid": hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()}
