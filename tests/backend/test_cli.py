"""The command line: what it lists, what it writes, and one line and status 2 for every mistake."""

import errno
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from backend.cli import main
from backend.contract.cards import JobStatus
from backend.contract.request import Request
from backend.contract.result import Result
from tests.backend.results.test_store import result


def request_file(tmp_path: Path, **change: object) -> str:
    path = tmp_path / "request.json"
    question = {"stem": "Why?", "options": ["a", "b"]}
    path.write_text(json.dumps({"analysis": "prediction", "question": question, **change}), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("models", ["qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b", "smollm2-135m"]),
        ("banks", ["knowledge", "copy-colors", "copy-facts"]),
        ("analyses", ["prediction", "attribution", "attention", "check-model", "self-check"]),
    ],
)
def test_lists_what_there_is(what: str, expected: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([what]) == 0
    names = [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()]
    assert set(expected) <= set(names)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"analysis": "nothing"}, "There is no analysis 'nothing'"),
        ({"model": {"name": "nobody"}}, "There is no model 'nobody'"),
        ({"question": {"stem": "", "options": ["a", "b"]}}, "The question is empty"),
        ({"question": {"stem": "x", "options": ["a"]}}, "2 to 10 options; this one has 1"),
        ({"question": {"stem": "x", "options": ["a", "a"]}}, "Options 1 and 2 are the same"),
        ({"question": {"stem": "x", "options": ["a", "b"], "answer": 2}}, "Use 0 to 1"),
        ({"question": {"stem": "x\x00", "options": ["a", "b"]}}, "control character U\\+0000"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object], message: str
) -> None:
    assert main(["run", request_file(tmp_path, **change), "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    lines = told.err.splitlines()
    assert len(lines) == 1
    assert re.search(message, lines[0])


def test_unreadable_requests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{", encoding="utf-8")
    assert main(["run", str(broken), "--out", str(tmp_path)]) == 2
    assert "is not JSON" in capsys.readouterr().err
    for text in ("[" * 10**5, "1" * 5000):
        broken.write_text(text, encoding="utf-8")
        assert main(["run", str(broken), "--out", str(tmp_path)]) == 2
        assert "is not JSON" in capsys.readouterr().err
    assert main(["run", str(tmp_path / "none.json"), "--out", str(tmp_path)]) == 2
    assert "cannot be read" in capsys.readouterr().err
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert main(["run", request_file(tmp_path), "--out", str(tmp_path / "file" / "out")]) == 2
    assert "cannot be written" in capsys.readouterr().err


class OneResult:
    """A client whose only job is done."""

    def __init__(self, result: Result) -> None:
        self._result = result

    def submit(self, request: Request) -> str:
        return "1"

    def wait(self, job: str, seconds: float) -> JobStatus:
        return JobStatus("1", "done", 0, 0, "", "", 1.0, None)

    def result(self, job: str) -> Result:
        return self._result


def test_out_leaves_what_was_there_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    monkeypatch.setattr("backend.cli.connect", lambda: OneResult(result(1.0)))
    assert main(["run", request_file(tmp_path), "--out", str(out)]) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert before.keys() == {"notes.txt", "result.json", "arrays.npz"}
    flushed: list[int] = []

    def full_at_the_second(descriptor: int) -> None:
        flushed.append(descriptor)
        if len(flushed) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("backend.cli.connect", lambda: OneResult(result(2.0)))
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full_at_the_second)
        assert main(["run", request_file(tmp_path), "--out", str(out)]) == 2
    assert capsys.readouterr().err.endswith(f"cannot be written to {out}: No space left on device.\n")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert main(["verify", str(out)]) == 0


def test_a_result_that_failed_its_check_is_written_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = replace(result(1.0), checks={"identity_error": (0.5, 0.25), "pattern_error": (0.0, 1e-4)})
    monkeypatch.setattr("backend.cli.connect", lambda: OneResult(failed))
    assert main(["run", request_file(tmp_path), "--out", str(tmp_path / "out")]) == 1
    told = "The result failed its check and is not to be trusted: identity error 0.5 (limit 0.25)."
    assert capsys.readouterr().err == f"letterheads: {told}\n"
    assert (tmp_path / "out" / "result.json").exists()


def test_out_in_a_folder_that_cannot_be_written_is_refused_before_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("backend.cli.connect", lambda: pytest.fail("a job was begun"))
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    assert main(["run", request_file(tmp_path), "--out", str(tmp_path)]) == 2
    assert "Read-only file system. Choose another." in capsys.readouterr().err
