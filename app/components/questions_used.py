"""On which questions a result rests: how many, answered wrong and left out, and what else has to be said of them."""

from collections.abc import Mapping
from typing import Any

from app.components.notice import quiet
from backend.contract.result import Result


def over(told: Mapping[str, Any]) -> str:
    """`5 questions, of which the model answers 3 wrong; 1 left out, the first because of: 3 options, not 4.`"""
    left_out = told["left_out"]
    return f"{told['kept']} questions, of which the model answers {told['wrong'] or 'none'} wrong" + (
        f"; {len(left_out)} left out, the first because of: {left_out[0]['reason']}." if left_out else "."
    )


def show_used(result: Result) -> None:
    """The small lines under a result; with those of each mutation, and the mutations left out, where it has some."""
    scalars = result.scalars
    if "mutations" not in scalars:
        lines = [f"Over {over(scalars)}"]
    else:
        lines = [f"{told['title']}: over {over(told)}" for told in scalars["mutations"]]
        lines += [f"Left out. {told['name']}: {told['reason']}" for told in scalars["left_out"]]
    quiet("\n".join([*lines, *scalars.get("notes", ())]), f"used {result.request['analysis']}")
