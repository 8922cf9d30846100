"""The lines under a result: the figures of its checks, its right letters, and its model."""

from collections.abc import Mapping

from app.components.notice import quiet, warning_box
from backend.contract.result import Result

UNCHECKED = "Being checked against whole forward passes. If the check fails, the picture is withdrawn."


def show_provenance(result: Result, *, checks: bool = True) -> None:
    """Draw the lines under a result. `checks=False` leaves out checks that the page already shows."""
    quiet(provenance_text(result, checks=checks), f"provenance {result.request['analysis']}")
    notes = [
        *result.scalars.get("prompt_notes", ()),
        *result.model.get("notes", ()),
    ]  # an older result has none
    if notes:
        quiet("\n".join(notes), f"notes {result.request['analysis']}")
    warning_box(unbalanced(result), f"letters {result.request['analysis']}")


def show_unchecked(whole: bool) -> None:
    """Say of numbers that are there before their check that they may be withdrawn."""
    if not whole:
        quiet(UNCHECKED, "unchecked")


def provenance_text(result: Result, *, checks: bool = True) -> str:
    """Each check with its limit and a mark; then model, dtype, quantization, fingerprint and time."""
    figures = [check_text(name, value, limit) for name, (value, limit) in result.checks.items()]
    model = result.model
    quantization = model.get("quantization", "none")
    source = [
        str(model.get("name", "")),
        str(model.get("dtype", "")),
        *([] if quantization == "none" else [f"quantized {quantization}"]),
        f"fingerprint {str(model.get('fingerprint', ''))[:12]}",
        f"computed in {result.seconds:.{1 if result.seconds < 10 else 0}f} s",
    ]
    counts = result.scalars.get("right_letters", {})
    letters = [f"right letters {_counted(counts)}"] if counts else []
    return " · ".join([*(figures if checks else []), *letters, *source])


def _counted(counts: Mapping[str, int]) -> str:
    """`A 8, B 8, C 8, D 8`."""
    return ", ".join(f"{letter} {count}" for letter, count in counts.items())


def unbalanced(result: Result) -> list[str]:
    """A sentence where one letter is right more often than another by more than one question; else none."""
    counts = result.scalars.get("right_letters", {})
    if not counts or max(counts.values()) - min(counts.values()) <= 1:
        return []
    weights = (
        "The means weigh each letter that is right the same."
        if result.scalars["letters_weigh_alike"]
        else "The means favour the letter that is right most often."
    )
    return [f"The questions are not balanced: right is {_counted(counts)}. {weights}"]


def check_text(name: str, value: float, limit: float) -> str:
    """`identity error 3.1e-06, limit 0.001 ✓ passed`."""
    return f"{name.replace('_', ' ')} {value:.2g}, limit {limit:g} {mark(value, limit)}"


def mark(value: float, limit: float) -> str:
    """A sign and a word for whether a figure is within its limit. NaN is not."""
    return "✓ passed" if value <= limit else "✗ failed"
