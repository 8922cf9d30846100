"""The sentences about two runs that every patching page shows."""

from app.components.notice import sentence
from backend.contract.metrics import METRICS
from backend.contract.result import Result


def show_runs(result: Result, unit: str) -> None:
    """Draw the metric of the clean and of the corrupted run; over a bank, the means."""
    scalars = result.scalars
    over, note = "", ""
    if "count" in scalars:
        left_out = (
            f", {scalars['left_out']} left out that cannot be corrupted in this way"
            if scalars["left_out"]
            else ""
        )
        over = f"Means over {scalars['count']} questions{left_out}. "
    else:
        note = f" ({scalars['corruption']})"
    sentence(
        f"{over}Clean run: ",
        f"{scalars['clean']:+.3f} {unit}",
        f". Corrupted run{note}: ",
        f"{scalars['corrupted']:+.3f} {unit}",
        ".",
        key="runs",
    )


def which_side_helps(metric: str) -> str:
    """How to read the sign of an effect, m(clean) - m(patched), for this metric."""
    side = "below" if METRICS[metric].less_is_better else "above"
    return f"{side.capitalize()} zero it helps the clean answer."
