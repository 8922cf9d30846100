"""What the analyses of this folder take and give. No torch."""

from backend.contract.analysis import Analysis, Lazy

KEY_STEERING = Analysis(
    name="key-steering",
    version=1,
    summary="whether the answer follows when one option's key is moved along a head's right-answer direction",
    takes=("questions",),
    run=Lazy("backend.analyses.mutations.key_steering", "run"),
    params=("head", "at", "keep", "seed", "strengths", "fitted_on"),
)


MUTATIONS_ANALYSIS = Analysis(
    name="mutations",
    version=2,
    summary="loss and accuracy under label mutations, of the whole model and with heads ablated or of low rank",
    takes=("questions",),
    run=Lazy("backend.analyses.mutations.mutations", "run"),
    params=("head", "heads", "rank", "at", "keep", "seed"),
)


SWAP_TEST = Analysis(
    name="swap-test",
    version=3,
    summary="whether one head's query follows the n-th item or the letter, where the two are different places",
    takes=("questions",),
    run=Lazy("backend.analyses.mutations.swap_test", "run"),
    params=("head", "keep", "seed"),
)
