"""The command line: `run REQUEST.json --out DIR`, `models`, `banks`, `analyses`. Errors: one line, exit status 2."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from backend.errors import LetterheadsError, RequestError
from backend.results.files import write
from backend.results.request import Request
from backend.service import connect

POLL_SECONDS = 0.5


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except LetterheadsError as error:
        print(f"letterheads: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("letterheads: stopped", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m backend", description=__doc__)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="run one analysis and write result.json and arrays.npz")
    run.add_argument("request", help="a request as JSON: a file, or - for standard input")
    run.add_argument("--out", required=True, type=Path, help="folder for the two files; made if need be")
    run.set_defaults(command=_run)
    for name, command in (("models", _models), ("banks", _banks), ("analyses", _analyses)):
        commands.add_parser(name, help=f"list the {name}").set_defaults(command=command)
    return parser


def _run(options: argparse.Namespace) -> None:
    request = Request.from_json(_read(options.request))
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(
            f"The folder {options.out} cannot be made: {error.strerror}. Choose another."
        ) from error
    client = connect()
    job = client.submit(request)
    told = ""
    try:
        while not (status := client.wait(job, POLL_SECONDS)).finished:
            if status.message != told:
                told = status.message
                print(told, file=sys.stderr)
    except KeyboardInterrupt:
        client.cancel(job)
        raise
    try:
        write(client.result(job), options.out)
    except OSError as error:
        raise RequestError(f"The result cannot be written to {options.out}: {error.strerror}.") from error
    print(options.out / "result.json")


def _read(path: str) -> object:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        return json.loads(text)
    except OSError as error:
        raise RequestError(f"The request {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise RequestError(f"The request {path} is not JSON: {error}.") from error


def _models(_: argparse.Namespace) -> None:
    for model in connect().models():
        state = "ready" if model.ready else "not fetched"
        print(f"{model.name}\t{model.title}\t{model.parameters / 1e9:.2f}B\t{model.license}\t{state}")


def _banks(_: argparse.Namespace) -> None:
    for bank in connect().banks():
        print(f"{bank.name}\t{bank.questions} questions\t{bank.title}")


def _analyses(_: argparse.Namespace) -> None:
    from backend.analyses import ANALYSES

    for analysis in ANALYSES.values():
        print(f"{analysis.name}\t{' or '.join(analysis.takes)}\t{analysis.summary}")
