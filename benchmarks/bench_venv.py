"""The packages that the benchmarks compare with, installed apart from ours."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
THEIRS = ROOT / ".venv-bench"


def make_bench_venv() -> None:
    """Install requirements-bench.txt into .venv-bench, once."""
    ready = THEIRS / "ready"
    wanted = (ROOT / "requirements-bench.txt").read_text()
    if ready.exists() and ready.read_text() == wanted:
        return
    subprocess.run([ROOT / ".venv/bin/python", "-m", "venv", THEIRS], check=True)
    subprocess.run([THEIRS / "bin/pip", "install", "-q", "-r", ROOT / "requirements-bench.txt"], check=True)
    ready.write_text(wanted)
