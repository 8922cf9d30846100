"""The line under a result: its check figures, and which model it comes from."""

from app.components.notice import quiet
from backend.results.result import Result


def show_provenance(result: Result, *, checks: bool = True) -> None:
    """Each check with its limit and a mark, unless shown already; then model, dtype, fingerprint and time."""
    figures = [check_text(name, value, limit) for name, (value, limit) in result.checks.items()]
    model = result.model
    source = [
        str(model.get("name", "")),
        str(model.get("dtype", "")),
        f"fingerprint {str(model.get('fingerprint', ''))[:12]}",
        f"computed in {result.seconds:.{1 if result.seconds < 10 else 0}f} s",
    ]
    quiet(" · ".join([*(figures if checks else []), *source]), f"provenance {result.request['analysis']}")


def check_text(name: str, value: float, limit: float) -> str:
    """`identity error 3.1e-06, limit 0.001 ✓ passed`."""
    return f"{name.replace('_', ' ')} {value:.2g}, limit {limit:g} {mark(value, limit)}"


def mark(value: float, limit: float) -> str:
    """Whether a figure is within its limit, in a sign and a word; NaN is not."""
    return "✓ passed" if value <= limit else "✗ failed"
