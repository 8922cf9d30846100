"""Hub models, against a hub of our own and against none."""

import dataclasses
import json
import shutil
import socket
import threading
import time
from pathlib import Path

import pytest

from backend.contract.errors import DownloadError, ModelError
from backend.contract.model import ModelSpec
from backend.models import hub
from backend.models.fetch import fetch, fetch_gguf
from backend.models.hub import fetch_file, find_snapshot
from backend.models.resolve import resolve
from backend.models.tokenizer import read_tokenizer
from tests.backend.models.hub_server import COMMIT, hub_server
from tests.backend.models.making import write_wheels

SPEC = ModelSpec("org/tiny", device="cpu")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.setattr(hub, "_unreached", set())


@pytest.fixture
def repositories(converted: Path, tmp_path: Path) -> Path:
    """A folder of repositories with one, org/tiny."""
    folder = tmp_path / "repositories" / "org" / "tiny"
    shutil.copytree(converted, folder)
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "modeling_evil.py").write_text("raise RuntimeError('code of a repository was run')")
    (folder / "original").mkdir()
    (folder / "original" / "more.safetensors").write_bytes(b"the same in another format")
    return tmp_path / "repositories"


def test_downloads_weights_config_and_tokenizer_only(
    repositories: Path, monkeypatch: pytest.MonkeyPatch, converted: Path
) -> None:
    before = resolve(SPEC)
    assert (before.kind, before.folder, before.fingerprint) == ("hub", None, "")
    with hub_server(repositories) as (endpoint, asked):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        after = fetch(SPEC)
    assert after.folder is not None
    assert after.folder.name == COMMIT
    assert {path.name for path in after.folder.iterdir()} == {path.name for path in converted.iterdir()}
    assert not any("evil" in path or ".bin" in path or "original" in path for path in asked)
    assert after.parameters == resolve(ModelSpec(str(converted), device="cpu")).parameters
    assert after.fingerprint
    # From here on without the hub.
    assert fetch(SPEC) == after == resolve(SPEC)


@pytest.mark.slow
def test_half_a_snapshot_does_not_count(repositories: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hub_server(repositories) as (endpoint, _):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        folder = fetch(SPEC).folder
        assert folder is not None
        next(folder.glob("*.safetensors")).unlink()
        assert find_snapshot("org/tiny") is None
        assert fetch(SPEC).folder == folder


def test_pickles_and_code_are_refused_before_the_download(
    repositories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = repositories / "org" / "tiny"
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps({**config, "model_type": "evil", "auto_map": {"AutoModel": "modeling_evil.Evil"}})
    )
    with hub_server(repositories) as (endpoint, asked):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        with pytest.raises(ModelError, match="brings its own code"):
            fetch(SPEC)
        for file in folder.glob("*.safetensors"):
            file.unlink()
        with pytest.raises(ModelError, match="only pickled weights, which can run code"):
            fetch(SPEC)
    assert not any(path.endswith((".safetensors", ".bin", ".py")) for path in asked)


def test_named_chat_templates_are_fetched(repositories: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = repositories / "org" / "tiny"
    (folder / "chat_template.jinja").write_text("{{ 'the usual' }}")
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "rag.jinja").write_text("{{ 'with texts' }}")
    (folder / "additional_chat_templates" / "evil.py").write_text("")
    with hub_server(repositories) as (endpoint, asked):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        tokenizer = read_tokenizer(fetch(SPEC))
    assert tokenizer.chat_template == {"default": "{{ 'the usual' }}", "rag": "{{ 'with texts' }}"}
    assert not any(path.endswith(".py") for path in asked)


def test_unknown_and_gated_repositories_are_told(repositories: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hub_server(repositories, gated=True) as (endpoint, _):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        with pytest.raises(DownloadError, match="no model 'org/other'"):
            fetch(ModelSpec("org/other", device="cpu"))
        with pytest.raises(DownloadError, match="org/tiny is gated: accept its terms"):
            fetch(SPEC)


def test_refused_connection_is_told_without_waiting_and_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{closed}")
    waits: list[float] = []
    sleep = time.sleep

    def waited(seconds: float) -> None:
        if threading.current_thread() is threading.main_thread():
            waits.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", waited)  # so a library waits between one try and the next
    with pytest.raises(
        DownloadError, match=rf"org/tiny is not in the cache, and the hub .*{closed}.* cannot be reached"
    ):
        fetch(SPEC)
    assert waits == []

    def not_asked_again(message: str, done: int = 0, total: int = 0) -> None:
        raise AssertionError(message)

    with pytest.raises(DownloadError, match="cannot be reached"):
        fetch_file("org/tiny", "tiny.gguf", tmp_path, 1, not_asked_again)


@pytest.mark.slow
def test_catalogue_file_comes_from_the_hub_only_if_its_bytes_are_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    model = write_wheels(tmp_path / "index", b"the right bytes", parts=1)
    model = dataclasses.replace(model, gguf=dataclasses.replace(model.gguf, hub="org/files"))
    there = tmp_path / "repositories" / "org" / "files" / "tiny.gguf"
    there.parent.mkdir(parents=True)
    with hub_server(tmp_path / "repositories") as (endpoint, _):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        for number, content in enumerate([b"the right bytes", b"changed since"]):
            there.write_bytes(content)
            messages: set[str] = set()
            target = tmp_path / str(number) / "tiny.gguf"
            fetch_gguf(model, target, lambda message, done=0, total=0: messages.add(message))  # noqa: B023
            assert target.read_bytes() == b"the right bytes"
            assert any("part 1 of 1" in message for message in messages) == (number == 1)
            assert list(target.parent.iterdir()) == [target]
