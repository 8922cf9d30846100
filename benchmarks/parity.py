"""Ours against plain transformers, TransformerLens and nnsight, family by family: `scripts/bench parity [NAME ...]`.

Each family is a tiny random model with all that is special in it active (tests/tiny.py), 3 layers of 4 heads. Of two
prompts that differ at six tokens, one is the base run. The output `z` of one head is patched into it from the other: in
the first and the middle layer at a token in between, in the last layer at the final token. Plain transformers does it
with a hook on the input of the output projection, found by its name, without any code of ours. Errors are shares of the
largest value. Prints the page docs/parity.md.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

from backend.analyses.attribution.attribution import attribute
from backend.engine.instrument import Instrument
from backend.engine.sweep import Cell, Sweep, Wanted, each_alone, run_source, run_sweep
from benchmarks.bench_venv import ROOT, THEIRS, make_bench_venv
from tests import tiny

SOURCE = tuple(range(3, 23))
BASE = (*SOURCE[:10], *range(99, 105), *SOURCE[16:])
PATCHED_AT = (15, 15, 19)
"""Within the sliding windows of 7 tokens that some families have."""
HEAD = 1
LEAST_CHANGE = 1e-4
PROJECTIONS = ("o_proj", "out_proj", "c_proj", "dense")
ATTENTIONS = ("self_attn", "attn", "attention", "self_attention")
INTRO = """# Parity

Written by `scripts/bench parity > docs/parity.md`. Each row is a tiny random model of one family, with all that is
special in it active, 3 layers of 4 heads, float32 on the processor. The oracle is the unmodified model of transformers
{ours}. A figure is the largest difference as a share of the largest value, at the first, middle and last layer.

- **Trace**: our residual stream before the layer, all positions, against `output_hidden_states`.
- **Attribution**: what embedding, heads, MLPs and biases write, summed, against the model's own logits (largest
  difference in logits, not a share).
- **Patch**: the final logits after one head's `z` at one token was patched, by our causal cone, against a forward hook
  on the plain model.
- **TransformerLens** {transformer_lens} and **nnsight** {nnsight}, with transformers {transformers}: the same patch by
  theirs, the worst of the three layers; or how they refuse the model. nnsight runs the model of transformers itself, so
  it differs by rounding at most.
- **bfloat16**: the same patch with weights in bfloat16. *Floor*: the plain model in bfloat16 against itself in float32,
  which is the rounding that nobody can avoid. *Ours*: our cone in bfloat16 against the plain model in bfloat16.
"""


def main(names: list[str]) -> None:
    """Print the page for the named families, or all."""
    make_bench_venv()
    rows, cases = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name in names or list(tiny.FAMILY_CONFIGS):
            model = tiny.tiny_model(name)
            place = Path(folder) / name.replace(" ", "-")
            _without_strays(model.config)
            model.save_pretrained(place)
            tiny.tokenizer().save_pretrained(place)
            rows[name], cases[name] = _ours(name, model)
            cases[name]["folder"] = str(place)
        others = _others(cases)
    print(INTRO.format(ours=transformers.__version__, **others.pop("versions")))
    print("| Family | Trace | Attribution | Patch | TransformerLens | nnsight | bfloat16: floor | ours |")
    print("|---|---|---|---|---|---|---|---|")
    for name, (trace, attribution, patch, floor, ours) in rows.items():
        theirs = [others[name][which] for which in ("transformer_lens", "nnsight")]
        print("|", " | ".join((name, trace, attribution, patch, *theirs, floor, ours)), "|")


def _without_strays(config: Any) -> None:
    """Remove the sizes that this type does not know: our tiny models are given them all, and others may read them."""
    known = type(config)().to_dict()
    for key in tiny.SIZES:
        if key not in known and key not in config.attribute_map:
            delattr(config, key)


def _ours(name: str, model: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The row's figures of ours, and the case for the others."""
    instrument = Instrument(tiny.loaded(model, tiny.tokenizer(), name))
    layers = range(instrument.shape.layers)
    with torch.no_grad():
        hidden = model(input_ids=torch.tensor([BASE]), output_hidden_states=True).hidden_states
    recorded = instrument.trace(BASE)
    traced = [_share(recorded.resid_pre[layer], hidden[layer][0]) for layer in layers]
    attributed = attribute(instrument, recorded, (10, 20, 30, 40)).identity_error
    size = recorded.z.shape[-1]
    paths = [_projection(model, layer) for layer in layers]
    places = list(zip(paths, PATCHED_AT, strict=True))
    plain = torch.stack([_plain_patch(model, *where, size) for where in places])
    if min(_share(row, recorded.logits) for row in plain) < LEAST_CHANGE:
        raise SystemExit(f"{name}: a patch changes nothing, so that nothing is compared.")
    patched = [_share(ours, own) for ours, own in zip(_cones(instrument), plain, strict=True)]
    model.to(torch.bfloat16)
    rounded = torch.stack([_plain_patch(model, *where, size) for where in places])
    in_bfloat16 = _cones(Instrument(tiny.loaded(model, tiny.tokenizer(), f"{name} bfloat16")))
    model.float()
    figures = (
        _three(traced),
        _figure(attributed),
        _three(patched),
        _figure(_share(rounded, plain)),
        _figure(_share(in_bfloat16, rounded)),
    )
    case = {"base": BASE, "source": SOURCE, "at": PATCHED_AT, "head": HEAD, "size": size, "paths": paths}
    return figures, {**case, "logits": plain.tolist()}


def _cones(instrument: Instrument) -> Tensor:
    """Our logits after each patch, `[layer, token]`."""
    cells = [Cell(layer, at, HEAD) for layer, at in enumerate(PATCHED_AT)]
    everything = Wanted(tuple(range(instrument.shape.vocabulary)), False)
    source = run_source(instrument, BASE, SOURCE)
    return run_sweep(instrument, Sweep(BASE, source, each_alone("z", cells), everything)).logits


def _projection(model: Any, layer: int) -> str:
    """The path of a layer's output projection of attention."""
    (path,) = [
        path
        for path, _ in model.named_modules()
        if (parts := path.split("."))[-1] in PROJECTIONS and parts[-2] in ATTENTIONS and str(layer) in parts
    ]
    return str(path)


@torch.no_grad()
def _plain_patch(model: Any, path: str, at: int, size: int) -> Tensor:
    """The final logits of the base run with the head's part of the projection's input from the source run."""
    part = slice(HEAD * size, (HEAD + 1) * size)
    seen: list[Tensor] = []

    def record(_: Any, args: tuple[Tensor, ...]) -> None:
        seen.append(args[0])

    def patch(_: Any, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        changed = args[0].clone()
        changed[0, at, part] = seen[0][0, at, part]
        return (changed, *args[1:])

    module = model.get_submodule(path)
    hook = module.register_forward_pre_hook(record)
    model(input_ids=torch.tensor([SOURCE]), use_cache=False)
    hook.remove()
    hook = module.register_forward_pre_hook(patch)
    logits = model(input_ids=torch.tensor([BASE]), use_cache=False).logits[0, -1]
    hook.remove()
    final: Tensor = logits.float()
    return final


def _others(cases: dict[str, dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Theirs, from a program of its own: versions, and for each family an error or a sentence."""
    ended = subprocess.run(
        [THEIRS / "bin/python", "-W", "ignore", ROOT / "benchmarks/parity_others.py"],
        input=json.dumps(cases),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, dict[str, str]] = json.loads(ended.stdout.splitlines()[-1])
    return found


def _share(ours: Tensor, own: Tensor) -> float:
    return float((ours.float() - own.float()).abs().max() / own.float().abs().max())


def _three(values: list[float]) -> str:
    return ", ".join(map(_figure, values))


def _figure(value: float) -> str:
    return f"{value:.1e}" if value else "0"


if __name__ == "__main__":
    main(sys.argv[1:])
