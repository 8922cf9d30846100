"""The server answers only under its own names, is not framed, and serves others only behind a protection."""

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from app import server
from backend.contract.errors import ModelError, RequestError
from backend.models.resolve import kind_of

ROOT = Path(__file__).parents[2]
OFFERED_HERE = "org/offered"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of a real server on loopback, with one more name."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free: int = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "serve.py", f"--port={free}"],
        cwd=ROOT,
        env=os.environ | {server.ALLOWED_HOSTS: "letterheads.example.org"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            try:
                if asked(free, "localhost", "/_stcore/health").status == 200:
                    break
            except OSError:
                time.sleep(0.2)
        yield free
    finally:
        process.terminate()
        process.wait(60)


def asked(port: int, host: str, path: str = "/") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("localhost", port, timeout=60)
    connection.putrequest("GET", path, skip_host=True)
    connection.putheader("Host", host)
    connection.endheaders()
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:8501", 200),
        ("127.0.0.1:8501", 200),
        ("[::1]:8501", 200),
        ("letterheads.example.org", 200),
        ("evil.example", 400),
        ("localhost.evil.example", 400),
        ("evil.example:8501", 400),
        ("", 400),
    ],
)
def test_pages_are_served_under_its_own_names_only(port: int, host: str, status: int) -> None:
    for path in ("/", "/_stcore/health", "/app/static/icon.svg"):
        response = asked(port, host, path)
        assert response.status == status, path
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Content-Security-Policy"] == "frame-ancestors 'self'"


def test_another_sites_name_opens_no_connection_to_a_page(port: int) -> None:
    path = f"ws://localhost:{port}/_stcore/stream"
    with connect(path):
        pass
    for host, origin in (
        ("evil.example", "http://evil.example"),
        (f"localhost:{port}", "http://evil.example"),
    ):
        with (
            pytest.raises(InvalidStatus),
            connect(path, additional_headers={"Host": host}, origin=Origin(origin)),
        ):
            pass


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "no login.*LETTERHEADS_BEHIND_PROXY=1"),
        ({"LETTERHEADS_BEHIND_PROXY": "0"}, "no login"),
        ({"LETTERHEADS_BEHIND_PROXY": "1"}, "Set LETTERHEADS_ALLOWED_HOSTS"),
    ],
)
def test_an_open_address_is_refused_in_one_line(environment: dict[str, str], message: str) -> None:
    ended = subprocess.run(
        [sys.executable, "serve.py", "--port=1", "--address=0.0.0.0"],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if not key.startswith("LETTERHEADS_")}
        | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert re.search(message, ended.stderr)


def test_others_are_offered_the_catalogue_and_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is there is refused in the same words as one that is not."""
    started: list[dict[str, object]] = []
    monkeypatch.setenv(server.BEHIND_PROXY, "1")
    monkeypatch.setenv(server.ALLOWED_HOSTS, "letterheads.example.org")
    monkeypatch.setenv(server.MODELS, OFFERED_HERE)
    assert server.main(lambda config: started.append(config), ["--address", "0.0.0.0"]) == 0
    assert started[0]["server.allowedHosts"] == [*server.LOOPBACK, "[::1]", "letterheads.example.org"]
    (tmp_path / "there").mkdir()
    (tmp_path / "there.gguf").write_bytes(b"GGUF")
    words = set()
    for name in ("there", "there.gguf", "missing", "missing.gguf"):
        with pytest.raises(ModelError, match="not offered here") as refused:
            kind_of(str(tmp_path / name))
        words.add(re.sub("The model .* is not", "NAME is not", str(refused.value)))
    assert len(words) == 1
    with pytest.raises(ModelError, match="not offered here"):
        kind_of("org/other")
    assert kind_of(OFFERED_HERE) == "hub"
    assert kind_of("qwen2.5-coder-0.5b") == "catalogue"


def test_an_open_server_offers_no_files_even_where_nothing_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ((server.BEHIND_PROXY, "1"), (server.ALLOWED_HOSTS, "letterheads.example.org")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(server.MODELS, "gone at the end of the test")
    monkeypatch.delenv(server.MODELS)
    assert server.main(lambda config: None, ["--address", "0.0.0.0"]) == 0
    with pytest.raises(ModelError, match="not offered here"):
        kind_of("org/other")


def test_loopback_is_free_to_name_any_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(server.MODELS, raising=False)
    assert server.main(lambda config: None, []) == 0
    assert kind_of(str(tmp_path)) == "folder"
    with pytest.raises(RequestError, match="no login"):
        server.check_address("192.168.1.5")
