"""TransformerLens' side of `scripts/bench patching`: a program of its own, run by the Python of .venv-bench.

Reads one JSON object from standard input (the folder of the weights, dtype, threads, the two prompts, the tokens and
the cells) and prints one: the seconds of each cell, patched one at a time as TransformerLens' own patching functions
do it, and the logits after each.
"""

import json
import os
import sys
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from transformer_lens.model_bridge import TransformerBridge
from transformers import AutoModelForCausalLM, AutoTokenizer

HOOKS = {"z": "blocks.{}.attn.hook_z", "resid_pre": "blocks.{}.hook_resid_pre"}


def main() -> None:
    """Patch the cells and print."""
    task = json.load(sys.stdin)
    torch.set_num_threads(task["threads"])
    torch.set_grad_enabled(False)
    dtype = getattr(torch, task["dtype"])
    tokenizer = AutoTokenizer.from_pretrained(task["folder"])
    hf_model = AutoModelForCausalLM.from_pretrained(task["folder"], dtype=dtype)
    model = TransformerBridge.boot_transformers(
        task["folder"], hf_model=hf_model, tokenizer=tokenizer, device="cpu", dtype=dtype
    )
    base, source = torch.tensor([task["base"]]), torch.tensor([task["source"]])
    names = [HOOKS[component].format(layer) for component, layer, _, _ in task["cells"]]
    _, cache = model.run_with_cache(source, names_filter=lambda name: name in set(names))
    seconds, logits = [], []
    for name, (_, _, position, head) in zip(names, task["cells"], strict=True):

        def patch(
            value: torch.Tensor,
            hook: object,
            name: str = name,
            position: int = position,
            head: int | None = head,
        ) -> torch.Tensor:
            index = (0, position) if head is None else (0, position, head)
            value[index] = cache[name][index]
            return value

        begun = time.perf_counter()
        out = model.run_with_hooks(base, fwd_hooks=[(name, patch)])
        logits.append(out[0, -1, task["tokens"]].float().tolist())
        seconds.append(time.perf_counter() - begun)
    json.dump({"seconds": seconds, "logits": logits}, sys.stdout)


if __name__ == "__main__":
    main()
