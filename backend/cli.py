"""The command line: `run REQUEST.json --out DIR`, `read FILE`, `drift DIR DIR`, `verify [DIR]`, `describe ANALYSIS`,
`models`, `banks`, `analyses`.

Errors: one line, exit status 2.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from backend.analyses import ANALYSES, analysis_named
from backend.cli_files import add_read, with_questions
from backend.contract.describe import described, reference
from backend.contract.errors import LetterheadsError, RequestError, StoreError, shown
from backend.contract.request import Request
from backend.home import home
from backend.results.drift import drift
from backend.results.files import ARRAYS_NAME, JSON_NAME, read, write
from backend.results.store import Store
from backend.service import connect

POLL_SECONDS = 0.5
FIGURES = (
    "questions",
    "same_answers",
    "logits_largest",
    "logits_mean",
    "net_correlation",
    "net_largest",
    "rank_correlation",
    "patched_correlation",
    "patched_largest",
)


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        status: int | None = options.command(options)
    except LetterheadsError as error:
        print(f"letterheads: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("letterheads: stopped", file=sys.stderr)
        return 130
    return status or 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m backend", description=__doc__)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="run one analysis and write result.json and arrays.npz")
    run.add_argument("request", help="a request as JSON: a file, or - for standard input")
    run.add_argument("--out", required=True, type=Path, help="folder for the two files; made if need be")
    run.set_defaults(command=_run)
    add_read(commands)
    compare = commands.add_parser("drift", help="compare two models by their results of readings")
    compare.add_argument("one", type=Path, help="folder of the first's result.json and arrays.npz")
    compare.add_argument("other", type=Path, help="folder of the second's")
    compare.set_defaults(command=_drift)
    verify = commands.add_parser("verify", help="check saved results against their checksums")
    verify.add_argument(
        "folder", nargs="?", type=Path, help="a store, or one result's folder; by default our store"
    )
    verify.set_defaults(command=_verify)
    describe = commands.add_parser("describe", help="what an analysis takes and gives")
    describe.add_argument("analysis", nargs="?", help="its name; see analyses")
    describe.add_argument("--all", action="store_true", help="the whole reference, as in docs/requests.md")
    describe.set_defaults(command=_describe)
    for name, command in (("models", _models), ("banks", _banks), ("analyses", _analyses)):
        commands.add_parser(name, help=f"list the {name}").set_defaults(command=command)
    return parser


def _run(options: argparse.Namespace) -> int:
    """Exit status 1 where the result failed its check."""
    request = Request.from_json(with_questions(_read(options.request)))
    _check_out(options.out)
    client = connect()
    job = client.submit(request)
    told = ""
    try:
        while not (status := client.wait(job, POLL_SECONDS)).finished:
            message = f"{status.note} {status.message}".strip()
            if message != told and sys.stderr.isatty():  # in a file, a mistake should be the one line
                print(message, file=sys.stderr)
            told = message
    except KeyboardInterrupt:
        client.cancel(job)
        raise
    result = client.result(job)
    try:
        write(result, options.out)
    except OSError as error:
        raise RequestError(f"The result cannot be written to {options.out}: {error.strerror}.") from error
    print(options.out / "result.json")
    if failed := result.failed():
        print(
            f"letterheads: The result failed its check and is not to be trusted: {failed}.", file=sys.stderr
        )
    return int(bool(failed))


def _check_out(folder: Path) -> None:
    """Refuse a folder that cannot be written before anything is computed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise RequestError(
            f"The folder {folder} cannot be written: {error.strerror}. Choose another."
        ) from error


def _verify(options: argparse.Namespace) -> int:
    """Exit status 1 where something is damaged."""
    folder = options.folder or home() / "results"
    if not folder.is_dir():
        raise RequestError(
            f"There is no folder {shown(str(folder), 500)}. Name a store, or a result's folder."
        )
    if (folder / JSON_NAME).exists() or (folder / ARRAYS_NAME).exists():
        good, bad = _verify_one(folder)
    else:
        good, bad = Store(folder).verify()
    for line in bad:
        print(line)
    print(f"{good} results are whole, {len(bad)} damaged.")
    return 1 if bad else 0


def _verify_one(folder: Path) -> tuple[int, list[str]]:
    """As `Store.verify`, of one result that `run --out` wrote."""
    try:
        read(folder)
    except StoreError as error:
        return 0, [str(error)]
    return 1, []


def _drift(options: argparse.Namespace) -> None:
    found = drift(read(options.one), read(options.other))
    print(found.verdict)
    for name in FIGURES:
        print(f"{name}\t{getattr(found, name)}")
    for name in ("accuracy", "loss"):
        one, other = getattr(found, name)
        print(f"{name}\t{one['value']} -> {other['value']}")
    for name in ("left", "entered"):
        print(f"{name}\t{' '.join(str(head) for head in getattr(found, name)) or 'none'}")


def _read(path: str) -> object:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        return json.loads(text)
    except OSError as error:
        raise RequestError(f"The request {path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise RequestError(f"The request {path} is not JSON: {error}.") from error


def _models(_: argparse.Namespace) -> None:
    for model in connect().models():
        state = "ready" if model.ready else "not fetched"
        print(f"{model.name}\t{model.title}\t{model.parameters / 1e9:.2f}B\t{model.license}\t{state}")


def _banks(_: argparse.Namespace) -> None:
    for bank in connect().banks():
        print(f"{bank.name}\t{bank.questions} questions\t{bank.title}")


def _analyses(_: argparse.Namespace) -> None:
    for analysis in ANALYSES.values():
        print(f"{analysis.name}\t{' or '.join(analysis.takes)}\t{analysis.summary}")


def _describe(options: argparse.Namespace) -> None:
    if options.all:
        print(reference(ANALYSES.values()), end="")
    else:
        print(described([analysis_named(options.analysis or "")]), end="")
