"""Opening pages without a browser: AppTest on the entry, with the fake client."""

import json
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

from backend.contract.client import Client
from tests.app.fake_client import FakeClient

ENTRY = Path(__file__).parents[2] / "streamlit_app.py"
PAGES = (
    "story",
    "question",
    "attribution",
    "attention",
    "patching",
    "patch_lens",
    "effects",
    "heads",
    "paths",
    "circuit",
    "head",
    "subspace",
    "mutations",
    "model",
    "drift",
)


def opened(page: str, client: Client | None = None, /, **params: str) -> AppTest:
    """The page as it is after its first run at this address."""
    at = AppTest.from_file(str(ENTRY), default_timeout=120)
    at.session_state["client"] = client or FakeClient()
    at.query_params = dict(params)
    return at.run() if page == "story" else at.switch_page(f"app/views/{page}.py").run()


def drawn(at: AppTest, name: str) -> list[Any]:
    """What each of our components of this name was given, in the order of the page."""
    elements = [element.proto for element in at.get("bidi_component")]
    chosen = [proto for proto in elements if proto.component_name == f"letterheads_{name}"]
    return [
        proto.bytes if proto.WhichOneof("data") == "bytes" else json.loads(proto.json) for proto in chosen
    ]


def header(data: bytes) -> dict[str, Any]:
    """What stands before the numbers that a component was given."""
    found: dict[str, Any] = json.loads(data[4 : 4 + int.from_bytes(data[:4], "little")])
    return found


def notices(at: AppTest, kind: str) -> list[str]:
    """The texts of the notices of one kind: error, warning, plain, lead or quiet."""
    return [
        "".join(part for part, _ in data["parts"]) for data in drawn(at, "notice") if data["kind"] == kind
    ]


def titles(at: AppTest) -> list[str]:
    """The titles of all pictures: charts, heatmaps and token strips."""
    charts = [json.loads(chart.proto.spec)["layout"]["title"]["text"] for chart in at.get("plotly_chart")]
    heatmaps = [json.loads(data[4 : data.index(b"}") + 1])["title"] for data in drawn(at, "heatmap")]
    grids = [header(data)["title"] for data in drawn(at, "patch_grids")]
    return [*charts, *heatmaps, *grids, *(data["title"] for data in drawn(at, "tokens"))]
