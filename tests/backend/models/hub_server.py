"""A hub on the loopback interface: repositories are folders, laid out as on the hub."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    root: ClassVar[Path]
    asked: ClassVar[list[str]]
    gated: ClassVar[bool]

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.asked.append(path)
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"] and len(parts) >= 4:
            self._info("/".join(parts[2:4]), tree="tree" in parts)
        elif len(parts) >= 5 and parts[2] == "resolve":
            self._file(self.root / parts[0] / parts[1] / "/".join(parts[4:]))
        else:
            self._answer(404, b"")

    def _info(self, repo: str, tree: bool) -> None:
        folder = self.root / repo
        if not folder.is_dir():
            self._answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
            return
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        names = [(path.relative_to(folder).as_posix(), path.stat().st_size) for path in files]
        if tree:
            body: object = [{"type": "file", "path": name, "size": size, "oid": "0"} for name, size in names]
        else:
            siblings = [{"rfilename": name, "size": size} for name, size in names]
            body = {
                "id": repo,
                "sha": COMMIT,
                "siblings": siblings,
                "private": False,
                "tags": [],
                "downloads": 0,
            }
        self._answer(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _file(self, file: Path) -> None:
        if self.gated:
            self._answer(403, b"{}", {"X-Error-Code": "GatedRepo"})
        elif not file.is_file():
            self._answer(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        else:
            content = file.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            self._answer(200, content, {"ETag": etag, "X-Repo-Commit": COMMIT})

    def _answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def hub_server(root: Path, gated: bool = False) -> Iterator[tuple[str, list[str]]]:
    """Serve the folders `root/org/name`; gives the end point and the list of the paths asked for."""
    asked: list[str] = []
    handler = type("Handler", (_Handler,), {"root": root, "asked": asked, "gated": gated})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()
