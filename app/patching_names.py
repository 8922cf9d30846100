"""What the pages about two runs offer, in words. The keys are the backend's own names; a test holds them together."""

CORRUPTIONS = {
    "swap_options": "Right option swapped with another",
    "question": "Another question",
    "shuffle_labels": "Labels shuffled",
    "random_letters": "Labels replaced by random letters",
    "text": "A text of your own",
}
COMPONENTS = {
    "z": "z: a head's output",
    "q": "q: a head's query",
    "k": "k: a kv head's key",
    "v": "v: a kv head's value",
    "pattern": "pattern: where a head looks",
    "resid_pre": "residual stream before a layer",
    "resid_mid": "residual stream before the MLP",
    "attn_out": "what attention writes",
    "mlp_out": "what the MLP writes",
}
BETWEEN = "resid_mid"  # not there where attention and MLP of a layer are side by side
WITH_KV_HEADS = ("k", "v")
WITHOUT_HEADS = ("resid_pre", "resid_mid", "attn_out", "mlp_out")
DIRECTIONS = {"denoise": "Denoise", "noise": "Noise"}
METRICS = {
    "net_logit": "Net logit of the right letter",
    "logit_difference": "Logit difference to another letter",
    "log_probability": "Log-probability of the right letter",
    "probability": "Probability of the right letter",
    "loss": "Loss",
    "kl": "KL divergence over the letters",
}
POSITIONS = {"final": "Final token", "all": "All tokens"}
SHOWN = {"recovered": "Share of the difference", "values": "Change of the metric"}
NORMS = {"recomputed": "Recomputed", "frozen": "Frozen"}
MODES = {"receiver": "Who feeds it", "sender": "Whom it feeds"}
NODES = {"head": "A head", "mlp": "An MLP", "embedding": "The embedding"}
