"""The page's process starts and answers without torch and transformers, which only the host's process imports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.selection import select
from app.state import Chosen
from backend.results.store import Store
from backend.service.ticket import ticket_for
from tests.app.made_up import made_up
from tests.backend.service.serving import serving

ROOT = Path(__file__).parents[3]
ASKING = """
import sys
from backend.contract.model import ModelSpec
from backend.contract.question import Question
from backend.contract.request import Request
from backend.service import connect

client = connect()
client.models(), client.devices(), client.loaded()
for bank in client.banks():
    client.questions(bank.name)
request = Request.build("prediction", model=ModelSpec("smollm2-135m"), question=Question("Why?", ("a", "b")))
assert client.find(request) is None
client.resolve(request.model)
job = client.submit(request)
client.status(job), client.wait(job, 0.1), client.partial(job)
client.cancel(job)
"""
VIEWING = """
import sys
from streamlit.testing.v1 import AppTest

at = AppTest.from_file("streamlit_app.py", default_timeout=120).run()
assert not at.exception
assert at.get("plotly_chart"), "the saved result is not drawn"
"""
FREE = """
found = {name.split(".")[0] for name in sys.modules} & {"torch", "transformers", "accelerate", "bitsandbytes"}
assert not found, found
"""


def run_apart(code: str, home: Path) -> None:
    environment = {**os.environ, "LETTERHEADS_HOME": str(home)}
    subprocess.run([sys.executable, "-c", code + FREE], cwd=ROOT, env=environment, check=True, timeout=300)


@pytest.mark.slow
def test_asking_for_everything_brings_in_no_torch(tmp_path: Path) -> None:
    run_apart(ASKING, tmp_path)


def test_a_cached_view_brings_in_no_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LETTERHEADS_HOME", str(tmp_path))
    selection, _ = select(Chosen(), serving(tmp_path / "results"))
    request = selection.ask("prediction")
    Store(tmp_path / "results").put(ticket_for(request).key, made_up(request))
    run_apart(VIEWING, tmp_path)
