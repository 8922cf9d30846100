"""What the analyses of this folder take and give. No torch."""

from backend.contract.analysis import Analysis, Lazy

COST = Analysis(
    name="cost",
    version=3,
    summary="how long another analysis takes on this machine, and how much memory",
    takes=("question", "questions", "nothing"),
    run=Lazy("backend.analyses.cost.cost", "run"),
    params=("analysis", "params"),
    stored=False,
    interactive=True,
)
