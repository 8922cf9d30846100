"""What can be patched, by its names in requests. No torch."""

from backend.contract.spec import By

LAYER, HEAD, KV_HEAD = (
    ("layer", "position"),
    ("layer", "head", "position"),
    ("layer", "kv_head", "position"),
)
AXES: dict[str, tuple[str, ...]] = {
    "resid_pre": LAYER,
    "resid_mid": LAYER,
    "attn_out": LAYER,
    "mlp_out": LAYER,
    "z": HEAD,
    "q": HEAD,
    "k": KV_HEAD,
    "v": KV_HEAD,
    "pattern": HEAD,
}
"""The axes of a component's cells."""
OF_COMPONENT = By(("component",), AXES)
