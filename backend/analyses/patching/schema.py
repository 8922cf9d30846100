"""What the analyses of this folder take and give. No torch."""

from backend.contract.analysis import Analysis, Lazy

PAIR_PARAMS = ("corruption", "metric")
PATCHING_PARAMS = (*PAIR_PARAMS, "component", "direction", "positions", "budget")


ATTRIBUTION_PATCHING = Analysis(
    name="attribution_patching",
    version=3,
    summary="what patching would change, for every component at once, estimated by gradients and verified in part",
    takes=("question",),
    run=Lazy("backend.analyses.patching.attribution_patching", "run"),
    params=(*PAIR_PARAMS, "direction", "qk_fix", "grad_drop", "verify", "budget"),
)


PATCHING = Analysis(
    name="patching",
    version=2,
    summary="activation patching of one component over layers, heads and positions, exact and re-checked",
    takes=("question",),
    run=Lazy("backend.analyses.patching.patching", "run"),
    params=PATCHING_PARAMS,
)


PATCHING_COST = Analysis(
    name="patching-cost",
    version=3,
    summary="how long patching with the same parameters takes on this machine, and how much memory",
    takes=("question",),
    run=Lazy("backend.analyses.patching.patching", "cost"),
    params=PATCHING_PARAMS,
    stored=False,
    interactive=True,
)
