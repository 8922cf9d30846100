"""What the analyses of this folder take and give. No torch."""

from backend.contract.analysis import Analysis, Lazy

ATTRIBUTION = Analysis(
    name="attribution",
    version=3,
    summary="what each head, MLP (and expert) and the embedding wrote for each label; over several questions, the mean",
    takes=("question", "questions"),
    run=Lazy("backend.analyses.attribution.attribution", "run"),
    params=("head",),
    interactive=True,
)
