"""What every result about two runs says of them."""

from app.components.notice import sentence
from backend.results.result import Result

# Of these less is better, so what helps the clean answer is below zero.
LESS_IS_BETTER = ("loss", "kl")


def show_runs(result: Result, unit: str) -> None:
    """The metric of the clean and of the corrupted run; over a bank their means."""
    scalars = result.scalars
    note = f" ({scalars['corruption']})" if "tokens" in scalars else ""
    over = "" if "tokens" in scalars else f"Means over {scalars['count']} questions. "
    sentence(
        f"{over}Clean run: ",
        f"{scalars['clean']:+.3f} {unit}",
        f". Corrupted run{note}: ",
        f"{scalars['corrupted']:+.3f} {unit}",
        ".",
        key="runs",
    )


def which_side_helps(metric: str) -> str:
    """How the sign of an effect is read: m(clean) less m(patched), for the metric of this kind."""
    side = "below" if metric in LESS_IS_BETTER else "above"
    return f"{side.capitalize()} zero it helps the clean answer."
