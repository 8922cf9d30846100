"""The menu under every figure: what it offers holds the figure's data, its request, and draws it again."""

import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from app.components import take_away
from app.figures import export
from app.figures.export import csv_of, image_of, snippet_of
from app.figures.twins import heatmap_twin
from backend.contract.errors import ResourceError
from backend.contract.request import Request
from backend.contract.result import Result
from tests.app.opened import PAGES, drawn, opened

# With the choices that bring all of a page's figures.
CHOICES = {"drift": {"against": "qwen2.5-coder-0.5b"}, "patching": {"where": "all"}}
FIGURES = [page for page in PAGES if page not in ("story", "lens", "patch_lens")]
Files = dict[str, Callable[[], Any]]
Menus = dict[str, tuple[Files, Callable[[], go.Figure], Sequence[Result]]]


def menus_of(page: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Menus, int]:
    """Every menu of a page by its title, and how many figures the page has."""
    menus: Menus = {}
    offered = take_away.files

    def noted(make: Callable[[], go.Figure], results: Sequence[Result], title: str) -> Any:
        made = offered(make, results, title)
        menus[title] = {kind: data for _, kind, _, data in made}, make, results
        return made

    monkeypatch.setattr(take_away, "files", noted)
    at = opened(page, **CHOICES.get(page, {}))
    assert not at.exception
    figures = len(at.get("plotly_chart")) + len(drawn(at, "heatmap")) + len(drawn(at, "tokens"))
    return menus, figures


@pytest.mark.parametrize("page", FIGURES)
def test_each_figure_can_be_taken_away(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    menus, figures = menus_of(page, monkeypatch)
    assert len(menus) == figures
    for title, (files, make, results) in menus.items():
        figure = make()
        data = pd.read_csv(io.StringIO(files["csv"]()))
        assert len(data), title
        assert {"x", "y"} & set(data.columns), title
        asked = json.loads(files["json"]())
        asked = asked if isinstance(asked, list) else [asked]
        assert [Request.from_json(each) for each in asked] == [
            Request.from_json(result.request) for result in results
        ]
        program = files["py"]()
        compile(program, title, "exec")
        again: dict[str, Any] = {}
        exec("import plotly.io\n" + program[program.index("figure = ") : program.index("figure.show")], again)
        assert json.loads(again["figure"].to_json()) == json.loads(export.printed(figure).to_json())
        assert "plotly" in files["html"]()[:200_000]


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("page", FIGURES)
def test_each_figure_is_drawn_as_a_picture(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    menus, _ = menus_of(page, monkeypatch)
    for title, (files, *_) in menus.items():
        assert files["png"]().startswith(b"\x89PNG"), title
        svg = files["svg"]().decode()
        assert svg.startswith("<svg"), title


def test_a_heatmap_s_table_has_a_row_for_each_cell() -> None:
    values = pd.DataFrame([[1.0, 2.0], [3.0, 4.0]]).to_numpy("float32")
    names = (["0", "1"], ["a", "b"])
    figure = heatmap_twin(values, *names, title="t", axes=("layer", "head"), unit="logits", ends=(-4, 4))
    table = pd.read_csv(io.StringIO(csv_of(figure)))
    assert table[["x", "y", "z"]].to_numpy().tolist() == [[0, 0, 1], [1, 0, 2], [0, 1, 3], [1, 1, 4]]
    assert figure.data[0].zmin == -figure.data[0].zmax


def test_a_title_cannot_break_the_program() -> None:
    program = snippet_of(go.Figure(), '"""\nimport os\\', [{"analysis": "prediction"}])
    compile(program, "program", "exec")
    assert not any(line.startswith("import os") for line in program.splitlines()[:1])


def test_without_a_browser_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "chromium", lambda: None)
    with pytest.raises(ResourceError, match="PNG and SVG need Chromium"):
        image_of(go.Figure(), "png")


def test_a_browser_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "chromium", lambda: "/bin/false")
    with pytest.raises(ResourceError, match="/bin/false did not draw the picture"):
        image_of(go.Figure(), "png")


def test_what_is_still_being_checked_has_no_menu(monkeypatch: pytest.MonkeyPatch) -> None:
    menus, _ = menus_of("question", monkeypatch)
    _, _, (result,) = next(iter(menus.values()))
    assert take_away.checked(result) is result
    assert take_away.checked(None) is None
