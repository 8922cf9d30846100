"""An analysis' declaration as Markdown: what the command line prints, and docs/requests.md."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template
from typing import Any

from backend.contract.analysis import Analysis
from backend.contract.components import COMPONENTS
from backend.contract.model import DEFAULT_MODEL, DEVICES, DTYPES, QUANTIZATIONS
from backend.contract.param import NEEDED, Fields, Param, Variants
from backend.contract.prompt import MAX_SHOTS, TEMPLATES
from backend.contract.question import MAX_OPTIONS, MIN_OPTIONS
from backend.contract.spec import ENDS, ArraySpec, By

QUESTION = {"stem": "What color is a raven?", "options": ["red", "black", "white", "green"], "answer": 1}
BANK = {"bank": "copy-colors", "limit": 60, "seed": 0}


def reference(analyses: Iterable[Analysis]) -> str:
    """The whole reference: the format of requests, every analysis, and the objects that their parameters take."""
    analyses = tuple(analyses)
    text = Template(Path(__file__).with_name("requests.md").read_text(encoding="utf-8"))
    intro = text.substitute(
        templates=_names(TEMPLATES),
        shots=MAX_SHOTS,
        model=DEFAULT_MODEL,
        dtypes=_names(DTYPES),
        quantizations=_names(QUANTIZATIONS),
        devices=_names(DEVICES),
        least=MIN_OPTIONS,
        most=MAX_OPTIONS,
    )
    listed = _table(
        ("analysis", "takes", "what it tells"),
        ([_link(one.name), " or ".join(one.takes), one.summary] for one in analyses),
    )
    return "\n".join([intro + listed, described(analyses)])


def described(analyses: Sequence[Analysis]) -> str:
    """These analyses, then the objects that their parameters take, each once."""
    objects = {param.name: param for analysis in analyses for param in analysis.params if _is_object(param)}
    parts = [*map(_analysis, analyses), *map(_object, objects.values())]
    if any(isinstance(array.axes, By) for analysis in analyses for array in analysis.arrays):
        parts.append(_components())
    return "\n".join(parts)


def example(analysis: Analysis) -> dict[str, Any]:
    """A request for it, as JSON-ready values."""
    about: dict[str, Any] = {}
    if "question" in analysis.takes:
        about = {"question": QUESTION}
    elif "questions" in analysis.takes:
        about = {"questions": BANK}
    params = {"params": dict(analysis.example)} if analysis.example else {}
    return {"analysis": analysis.name, **about, **params}


def _analysis(analysis: Analysis) -> str:
    kept = f"Version {analysis.version}." if analysis.stored else "An estimate for this machine, never saved."
    parts = [
        f"## {analysis.name}\n\n{_sentence(analysis.summary)} Takes {' or '.join(analysis.takes)}. {kept}\n",
        f"```json\n{_lines(example(analysis))}\n```\n",
    ]
    if analysis.params:
        parts.append(_params(analysis.params))
    if analysis.arrays:
        rows = (
            [_array_names(array), _axes(array.axes), _unit(array.unit), array.meaning, array.when.says]
            for array in analysis.arrays
        )
        parts.append(_table(("array", "axes", "unit", "meaning", "when"), rows))
    rows = (
        [_names(scalar.names), scalar.unit, scalar.meaning, scalar.when.says] for scalar in analysis.scalars
    )
    parts.append(_table(("scalar", "unit", "meaning", "when"), rows))
    if analysis.checks:
        rows = ([f"`{each.name}`", each.meaning, each.limit.says, each.when.says] for each in analysis.checks)
        parts.append(
            _table(
                ("check", "largest difference of", "limit in float32 / half precision / quantized", "when"),
                rows,
            )
        )
    return "\n".join(parts)


def _lines(request: dict[str, Any]) -> str:
    """JSON with a field a line."""
    fields = ",\n ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in request.items())
    return f"{{{fields}}}"


def _object(param: Param) -> str:
    """A parameter that is an object: its fields, or each kind with its fields."""
    head = f"## {param.name}\n\n{_sentence(param.help)}\n"
    if isinstance(param.kind, Fields):
        return "\n".join([head, _params(param.kind.fields)])
    assert isinstance(param.kind, Variants)
    rows = (
        [f"`{variant.name}`", _sentence(variant.help), "<br>".join(_field(field) for field in variant.fields)]
        for variant in param.kind.variants.values()
    )
    return "\n".join([head, _table(("kind", "what it is", "fields"), rows)])


def _components() -> str:
    rows = ([f"`{name}`", card.title, ", ".join(card.axes)] for name, card in COMPONENTS.items())
    return "\n".join(["## component\n", _table(("component", "what it is", "axes"), rows)])


def _params(params: Iterable[Param]) -> str:
    rows = ([f"`{param.name}`", _values(param), _default(param), param.help] for param in params)
    return _table(("parameter", "value", "default", "what it decides"), rows)


def _field(field: Param) -> str:
    return f"`{field.name}`: {field.help}; {field.kind.says}; default {_default(field)}"


def _values(param: Param) -> str:
    return f"{param.kind.says} ({_link(param.name)})" if _is_object(param) else param.kind.says


def _default(param: Param) -> str:
    if param.default is NEEDED:
        return "none: it is needed"
    return param.usual or (f"`{json.dumps(param.default)}`" if param.default is not None else "none")


def _is_object(param: Param) -> bool:
    return isinstance(param.kind, Fields | Variants)


def _array_names(array: ArraySpec) -> str:
    names = _names(f"{array.name}{variant}" for variant in array.variants)
    return f"{names}, each with {_names(ENDS[1:])}" if array.ends else names


def _axes(axes: tuple[str, ...] | By) -> str:
    if isinstance(axes, By):
        return f"[the component's](#{axes.path[-1]})"
    return ", ".join(axes) or "none: one number"


def _unit(unit: str | By) -> str:
    return "the metric's" if isinstance(unit, By) else unit


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _link(name: str) -> str:
    return f"[`{name}`](#{name})"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = (" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows)
    return "\n".join(
        [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}", *(f"| {row} |" for row in cells), ""]
    )
