"""The command line of `scripts/fetch-model`."""

from pathlib import Path

import pytest

from backend.models.__main__ import main


def test_fetches_and_says_where(gguf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(gguf)]) == 0
    first = capsys.readouterr().out.splitlines()
    assert first[0] == "Computing the SHA-256 of tiny.gguf"
    assert first[-1].startswith(f"{gguf} is ready: ")
    assert main([str(gguf)]) == 0
    assert capsys.readouterr().out.splitlines() == first[-1:]


def test_error_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no-such-model"]) == 2
    assert capsys.readouterr().err.startswith("There is no model 'no-such-model'.")


@pytest.mark.parametrize("arguments", [["--help"], ["a", "b"]])
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage: fetch-model [--small | NAME]" in capsys.readouterr().out
