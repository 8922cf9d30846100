"""The sentences about two runs that every patching page shows."""

from app.components.notice import quiet, sentence
from app.figures.shares import answers_better, noise_of, shares_hold
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
    problem = difference_in_words(result, unit)
    if problem:
        quiet(problem, "difference")


def difference_in_words(result: Result, unit: str) -> str:
    """What stands in the way of explaining the difference of both runs; empty where nothing does."""
    apart = abs(result.scalars["clean"] - result.scalars["corrupted"])
    if not shares_hold(result):
        return (
            f"The runs differ by {apart:.2g} {unit}; below {noise_of(result):.2g} it is noise. There is nothing "
            "to explain: choose another corrupted prompt."
        )
    if answers_better(result):
        return (
            f"The corrupted prompt answers better, by {apart:.2g} {unit}: there is no answer to bring back."
        )
    return ""


def which_side_helps(metric: str) -> str:
    """How to read the sign of an effect, m(clean) - m(patched), for this metric."""
    side = "below" if METRICS[metric].less_is_better else "above"
    return f"{side.capitalize()} zero it helps the clean answer."
