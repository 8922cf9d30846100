"""Tiny real files for these tests: GGUFs written with the gguf library, wheels that carry parts of one."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, TokenType, quantize
from tokenizers import pre_tokenizers

from backend.models.catalogue import CatalogueModel, Gguf, Wheel

HIDDEN, INNER, HEADS, KV_HEADS, LAYERS = 64, 96, 4, 2, 2
TOKENS = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "in", "<|end|>", "<|im_start|>"]


def write_gguf(
    path: Path, architecture: str = "qwen2", tied: bool = False, extra: str = "", seed: int = 0
) -> Path:
    """A random two-layer model with quantized matrices; `extra` names one more tensor."""
    writer = GGUFWriter(path, architecture)
    writer.add_name("tiny")
    writer.add_context_length(128)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(len(TOKENS))
    _write_tokenizer(writer)
    random = np.random.default_rng(seed)
    for name, shape in _shapes(architecture, tied, extra).items():
        values = random.normal(size=shape).astype(np.float32)
        if len(shape) == 1:
            writer.add_tensor(name, values)
        else:
            kind = GGMLQuantizationType.Q5_0 if "token_embd" in name else GGMLQuantizationType.Q8_0
            writer.add_tensor(name, quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _write_tokenizer(writer: GGUFWriter) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(TOKENS)
    writer.add_token_types([TokenType.NORMAL] * (len(TOKENS) - 2) + [TokenType.CONTROL] * 2)
    writer.add_token_merges(["i n"])
    writer.add_eos_token_id(TOKENS.index("<|end|>"))
    writer.add_bos_token_id(TOKENS.index("<|end|>"))
    writer.add_pad_token_id(TOKENS.index("<|end|>"))
    writer.add_add_bos_token(False)
    writer.add_chat_template("{% for message in messages %}<|im_start|>{{ message.content }}{% endfor %}")


def _shapes(architecture: str, tied: bool, extra: str) -> dict[str, tuple[int, ...]]:
    kv_width = HIDDEN // HEADS * KV_HEADS
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (len(TOKENS), HIDDEN),
        "output_norm.weight": (HIDDEN,),
    }
    if not tied:
        shapes["output.weight"] = (len(TOKENS), HIDDEN)
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        shapes[block + "attn_norm.weight"] = shapes[block + "ffn_norm.weight"] = (HIDDEN,)
        shapes[block + "attn_q.weight"] = shapes[block + "attn_output.weight"] = (HIDDEN, HIDDEN)
        shapes[block + "attn_k.weight"] = shapes[block + "attn_v.weight"] = (kv_width, HIDDEN)
        shapes[block + "ffn_gate.weight"] = shapes[block + "ffn_up.weight"] = (INNER, HIDDEN)
        shapes[block + "ffn_down.weight"] = (HIDDEN, INNER)
        if architecture == "qwen2":
            shapes |= {f"{block}attn_{part}.bias": (kv_width,) for part in "kv"} | {
                block + "attn_q.bias": (HIDDEN,)
            }
    return shapes | ({extra: (HIDDEN,)} if extra else {})


def write_wheels(
    folder: Path, content: bytes, parts: int = 3, first: int = 1, sha256: str = ""
) -> CatalogueModel:
    """Wheels in `folder` that carry `content` in parts, and the catalogue entry that names them."""
    folder.mkdir(parents=True, exist_ok=True)
    step, wheels = -(-len(content) // parts), []
    for place in range(parts):
        number = first + place
        path = folder / f"tiny_part{number}-1.0-py3-none-any.whl"
        root, info = f"tiny_part{number}", f"tiny_part{number}-1.0.dist-info"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
            wheel.writestr(f"{root}/__init__.py", "raise RuntimeError('a wheel was imported')")
            wheel.writestr(f"{root}/data/part{number}.bin", content[place * step : (place + 1) * step])
            wheel.writestr(
                f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny-part{number}\nVersion: 1.0\n"
            )
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        wheels.append(Wheel(f"tiny-part{number}==1.0", digest))
    return CatalogueModel(
        name="tiny",
        title="Tiny",
        license="none",
        role="test",
        parameters=1,
        hub="nobody/tiny",
        gguf=Gguf("tiny.gguf", len(content), sha256 or hashlib.sha256(content).hexdigest(), None),
        member="data/part*.bin",
        wheels=tuple(wheels),
    )
