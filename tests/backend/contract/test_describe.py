"""What the declarations say in words: docs/requests.md is made of them, and so is the command line's help."""

from pathlib import Path

import pytest

from backend.analyses import ANALYSES
from backend.analyses.fetch import fetch
from backend.cli import main
from backend.contract.describe import described, example, reference
from backend.contract.param import Param
from backend.contract.request import Request
from backend.contract.spec import ScalarSpec

PAGE = Path(__file__).parents[3] / "docs" / "requests.md"


def test_the_page_is_what_the_declarations_say() -> None:
    made = reference(ANALYSES.values())
    assert PAGE.read_text(encoding="utf-8") == made, (
        "docs/requests.md is out of date: python -m backend describe --all > docs/requests.md"
    )


@pytest.mark.parametrize("name", ANALYSES)
def test_one_analysis(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", name]) == 0
    said = capsys.readouterr().out
    assert said == described([ANALYSES[name]])
    specs: list[Param | ScalarSpec] = [*ANALYSES[name].params, *ANALYSES[name].scalars]
    for spec in specs:
        assert f"`{spec.name}" in said
    for array in ANALYSES[name].arrays:
        assert all(f"`{array.name}{variant}`" in said for variant in array.variants)


@pytest.mark.parametrize("name", ANALYSES)
def test_its_example_is_a_good_request(name: str) -> None:
    assert fetch(Request.from_json(example(ANALYSES[name]))).request.analysis == name


def test_an_unknown_one_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "beauty"]) == 2
    assert "There is no analysis 'beauty'. Choose one of prediction" in capsys.readouterr().err
    assert main(["describe"]) == 2
    assert main(["describe", "--all"]) == 0
    assert capsys.readouterr().out == reference(ANALYSES.values())


def test_every_row_of_a_table_has_the_columns_of_its_head() -> None:
    columns = 0
    for line in reference(ANALYSES.values()).splitlines():
        count = line.replace("\\|", "").count("|")
        columns = columns or count
        assert count in (0, columns), line
        columns = count
