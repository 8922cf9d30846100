import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from app.readers import ends_of
from app.state import Chosen, read, write
from backend.contract.corruptions import DRAWS, SEED
from backend.contract.head import HeadRef
from backend.contract.model import DEFAULT_MODEL
from backend.contract.question import Question

OWN = Question("What is 1 < 2 & 3?", ("yes ☝️", "لا"), None, "maths")


@pytest.mark.parametrize(
    "chosen",
    [
        Chosen(),
        Chosen(model="/some/folder", dtype="bfloat16", quantization="8bit", device="cpu"),
        Chosen(bank="copy-colors", item=17, subject="colors", right="2", search="raven?"),
        Chosen(question=OWN, template="chat", labels="K P X Z", shots=5),
        Chosen(scope="bank", limit=300, letter="B", role="right label", reading="value-weighted"),
        Chosen(template="custom", custom="{stem}\n{label}: {option} & more\nAnswer: {answer}"),
        Chosen(head=HeadRef(16, 7)),
        Chosen(way="query", variant="letters"),
        Chosen(strength=-2.5, steered=7, towards="D"),
        Chosen(patches=("clean:-1..3:20..22", "corrupted:5..5:7..7"), span="all", words=True),
        Chosen(sampled=48, across="net", up="induction", shade="gap", only=("single letter", "negative")),
        Chosen(thresholds="mass:0.4,gap:0.2"),
        Chosen(norm="frozen", mode="sender", node="mlp", mlp=12),
        Chosen(
            products=True,
            at="newline",
            keep="right",
            rotated=True,
            stacked=False,
            also=("shuffled", "numbers"),
        ),
        Chosen(colour="subject", x=4, y=1, z=64, means=True, measure="accuracy", mutation="numbers"),
        Chosen(corruption="question", draws=3, component="resid_pre", where="all", place=4),
    ],
)
def test_an_address_says_what_was_chosen(chosen: Chosen) -> None:
    assert read(write(chosen)) == (chosen, [])


def test_the_example_of_an_address() -> None:
    params = {"model": "qwen2.5-0.5b", "bank": "copy-colors", "item": "7", "where": "all", "place": "12"}
    chosen = Chosen(model="qwen2.5-0.5b", bank="copy-colors", item=7, where="all", place=12)
    assert read(params) == (chosen, [])
    assert write(chosen) == params


def test_only_the_model_is_in_the_address_when_it_is_the_default() -> None:
    assert write(Chosen()) == {"model": DEFAULT_MODEL}
    assert write(Chosen(head=HeadRef(16, 7))) == {"model": DEFAULT_MODEL, "head": "L16H7"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("item", "-1"),
        ("item", "many"),
        ("item", "9" * 50),
        ("shots", "6"),
        ("dtype", "float128"),
        ("scope", ""),
        ("head", "L1"),
        ("head", "L99999H1"),
        ("question", "{"),
        ("question", "[" * 100_000),
        ("question", json.dumps({"stem": "", "options": ["a", "b"]})),
        ("question", json.dumps({"stem": "x", "options": ["a"]})),
        ("norm", "none"),
        ("mode", "both"),
        ("node", "L1H1"),
        ("mlp", "-1"),
        ("colour", "red"),
        ("x", "0"),
        ("means", "yes"),
        ("measure", "time"),
        ("nonsense", "1"),
        ("labels", " "),
    ],
)
def test_nonsense_is_told_and_the_default_taken(name: str, text: str) -> None:
    chosen, problems = read({name: text, "limit": "20"})
    assert chosen == Chosen(limit=20)
    assert len(problems) == 1
    assert len(problems[0]) < 400


@given(some.dictionaries(some.sampled_from([*Chosen.__dataclass_fields__, "x"]), some.text()))
@pytest.mark.slow
def test_no_address_breaks_it(params: dict[str, str]) -> None:
    chosen, problems = read(params)
    assert read(write(chosen)) == (chosen, [])
    assert len(problems) <= len(params)


def test_ranges_are_those_of_requests() -> None:
    """An address may hold what a request may, and no more."""
    for count in (1, 20):
        assert read({"draws": str(count)})[1] == []
    assert "from 1 to 20" in read({"draws": "21"})[1][0]
    assert "from 1 to 20" in read({"draws": "0"})[1][0]
    assert ends_of(DRAWS) == (1, 20)
    with pytest.raises(TypeError, match="seed is not a whole number with a least and a largest value"):
        ends_of(SEED)
