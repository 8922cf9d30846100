"""What the analyses of this folder take and give. No torch."""

from backend.contract.analysis import Analysis, Lazy

COMPRESSION = Analysis(
    name="compression",
    version=2,
    summary="loss and accuracy with heads' queries and keys projected onto few dimensions, tested by running it",
    takes=("questions",),
    run=Lazy("backend.analyses.subspace.compression", "run"),
    params=("head", "heads", "rank", "at", "keep", "seed", "ranks"),
)


SUBSPACE = Analysis(
    name="subspace",
    version=2,
    summary="one head's final queries and label keys over many questions, in the few dimensions that hold them",
    takes=("questions",),
    run=Lazy("backend.analyses.subspace.subspace", "run"),
    params=("head", "rank", "at", "keep", "seed", "rotated", "stacked"),
)
