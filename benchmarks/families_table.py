"""The table of `scripts/bench families`, as docs/models.md holds it."""

import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import transformers

FILE = Path(__file__).parents[1] / "docs" / "models.md"
BEGIN, END = "<!-- written by scripts/bench families --write -->", "<!-- end -->"


class Tried(NamedTuple):
    """How one type ended: `outcome` is accepted, refused, not built or crashed; `detail` the error or the sentence.

    Of an accepted one `how` says how it is known, by its adapter or by structure, `quantized` whether it is accepted in
    4 bits too, and `patching` whether it is patched by cones or by passes of the whole model.
    """

    name: str
    outcome: str
    detail: str
    how: str = ""
    quantized: str = ""
    patching: str = ""


def write_table(found: list[Tried]) -> None:
    """Replace the table in docs/models.md."""
    text = FILE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    FILE.write_text(f"{before}{BEGIN}\n\n{table(found)}\n{END}{after}", encoding="utf-8")


def table(found: list[Tried]) -> str:
    """The types that are accepted with their errors, then those that are not, by what is said of them."""
    accepted = [tried for tried in found if tried.outcome == "accepted"]
    others: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for tried in found:
        if tried.outcome != "accepted":
            others[tried.outcome, _reason(tried)].append(tried.name)
    counts = {outcome: sum(each.outcome == outcome for each in found) for outcome in ("refused", "not built")}
    lines = [
        f"With transformers {transformers.__version__}, of {len(found)} types {len(accepted)} are accepted, "
        f"{counts['refused']} refused, and {counts['not built']} not built small.",
        "",
        "| accepted | by | error | 4bit | patching |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {tried.name} | {tried.how} | {tried.detail} | {tried.quantized} | {tried.patching} |"
            for tried in accepted
        ),
        "",
        "| not accepted | what is said |",
        "| --- | --- |",
        *(
            f"| {', '.join(names)} | {'' if outcome == 'refused' else f'{outcome}: '}{reason} |"
            for (outcome, reason), names in sorted(
                others.items(), key=lambda each: (each[0][0] != "refused", each[1])
            )
        ),
    ]
    return "\n".join(lines) + "\n"


def _reason(tried: Tried) -> str:
    """What is said of a type, without what is its own, so that types of one reason stand together."""
    text = tried.detail.partition(" Supported: ")[0].partition(" Its numbers could not")[0]
    text = re.sub(r"'?FOLDER'?", "It", text.replace(repr(tried.name), "TYPE"))
    text = re.sub(r" \S+ \(limit [^)]*\)", "", text)
    return " ".join(text.replace("|", "or").split())
