"""The questions that a result used: how many, how many the model answers wrong, how many are left out, and notes."""

from collections.abc import Mapping
from typing import Any

from app.components.notice import quiet
from backend.contract.result import Result


def over(used: Mapping[str, Any]) -> str:
    """`5 questions, of which the model answers 3 wrong; 1 left out, the first because of: 3 options, not 4.`"""
    left_out = used["left_out"]
    return f"{used['kept']} questions, of which the model answers {used['wrong'] or 'none'} wrong" + (
        f"; {len(left_out)} left out, the first because of: {left_out[0]['reason']}." if left_out else "."
    )


def show_used(result: Result) -> None:
    """Draw the small lines under a result; for several mutations, one for each used or left out."""
    scalars = result.scalars
    if "mutations" not in scalars:
        lines = [f"Over {over(scalars)}"]
    else:
        lines = [f"{used['title']}: over {over(used)}" for used in scalars["mutations"]]
        lines += [f"Left out. {mutation['name']}: {mutation['reason']}" for mutation in scalars["left_out"]]
    quiet("\n".join([*lines, *scalars.get("notes", ())]), f"used {result.request['analysis']}")
