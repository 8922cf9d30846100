"""What the analyses of this folder take and give. No torch."""

from backend.contract.analysis import Analysis, Lazy

ATTENTION = Analysis(
    name="attention",
    version=1,
    summary="where the final token of each head looks, plain and value-weighted, by token and by role",
    takes=("question", "questions"),
    run=Lazy("backend.analyses.attention.attention", "run"),
    params=("head",),
    interactive=True,
)
