"""Convert a GGUF file to a Hugging Face folder. It is dequantized to float32 once, and the folder is saved.

The weights equal those of transformers' own GGUF loading: same names, same per-architecture processing, and the gguf
library's dequantization. Here it runs tensor by tensor, so at most one shard is in memory.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from gguf import GGUFReader, GGUFValueType, dequantize
from safetensors.torch import save_file
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.integrations.gguf import is_gguf_arch_supported
from transformers.modeling_gguf_pytorch_utils import (
    GGUF_SUPPORTED_ARCHITECTURES,
    TENSOR_PROCESSORS,
    TensorProcessor,
    get_gguf_hf_weights_map,
)
from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING

from backend.contract.errors import ModelError, shown
from backend.contract.progress import Progress
from backend.models.config import path_shown
from backend.models.disk import need_disk_space, sync
from backend.models.silent_transformers import silent_transformers

SHARD_BYTES = 512 << 20
CHUNK_ELEMENTS = 16 << 20


class _Table(GGUFReader):  # type: ignore[misc]  # the library is untyped
    """The gguf library's reader, but it skips the vocabulary: reading it takes 10 s and 1 GB, and it is not needed."""

    # The library passes offsets and types as ints of Python or of numpy.
    def _get_field_parts(self, orig_offs: Any, raw_type: Any) -> tuple[Any, list[Any], list[int], list[Any]]:
        start = orig_offs + 12
        if raw_type != GGUFValueType.ARRAY or self._get(orig_offs, np.uint32)[0] != GGUFValueType.STRING:
            return super()._get_field_parts(orig_offs, raw_type)  # type: ignore[no-any-return]
        count, end, content = int(self._get(orig_offs + 4, np.uint64)[0]), start, memoryview(self.data)
        for _ in range(count):
            end += 8 + struct.unpack_from("<Q", content, end)[0]
        return end - orig_offs, [], [], [GGUFValueType.ARRAY, GGUFValueType.STRING]


def convert(gguf: Path, folder: Path, title: str, progress: Progress) -> None:
    """Write the model of the file `gguf` into the existing, empty `folder`.

    Raises ModelError if it is not a GGUF file, is truncated, or has an architecture or tensors that transformers does
    not read from GGUF.
    """
    progress(f"Reading {title}")
    table = _read_table(gguf)
    architecture = str(table.fields["general.architecture"].contents())
    _check_architecture(gguf, architecture)
    need_disk_space(folder, 4 * sum(int(tensor.n_elements) for tensor in table.tensors), f"Unpacking {title}")
    with silent_transformers():
        config = AutoConfig.from_pretrained(gguf.parent, gguf_file=gguf.name)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        progress(f"Reading the tokenizer of {title}")
        # What AutoTokenizer does; AutoTokenizer itself would read the vocabulary a second time to find the config.
        tokenizer_class = TOKENIZER_MAPPING.get(type(config), PreTrainedTokenizerFast)
        tokenizer = tokenizer_class.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.model_max_length = config.max_position_embeddings
    tokenizer.save_pretrained(folder)
    config.architectures = [type(model).__name__]
    config.dtype = torch.float32
    config.save_pretrained(folder)
    GenerationConfig.from_model_config(config).save_pretrained(folder)
    _write_shards(_tensors(table, architecture, model, title, progress), model, folder)
    for path in folder.iterdir():
        sync(path)
    sync(folder)


def _read_table(gguf: Path) -> GGUFReader:
    try:
        table = _Table(gguf)
    # What the reader raises if the file is truncated or is not GGUF.
    except (ValueError, IndexError, KeyError, OverflowError, struct.error) as error:
        raise ModelError(
            f"{path_shown(gguf)} is not a whole GGUF file ({shown(str(error))}). Fetch or copy it again."
        ) from error
    if "general.architecture" not in table.fields:
        raise ModelError(f"{path_shown(gguf)} does not name its architecture. Use a complete GGUF file.")
    return table


def _check_architecture(gguf: Path, architecture: str) -> None:
    # transformers reads some architectures by newer code, which needs other steps than the ones here.
    supported = {*GGUF_SUPPORTED_ARCHITECTURES} - {
        "general",
        "tokenizer",
    }  # in that list, but not architectures
    known = sorted(name for name in supported if not is_gguf_arch_supported(name))
    if architecture not in known:
        raise ModelError(
            f"{gguf.name} is of the architecture {shown(architecture)}, which is not read from GGUF. "
            f"Use its safetensors weights, or a GGUF of {', '.join(known)}."
        )


def _tensors(
    table: GGUFReader, architecture: str, model: PreTrainedModel, title: str, progress: Progress
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield each weight: its name in transformers, and its float32 values."""
    processor = TENSOR_PROCESSORS.get(architecture, TensorProcessor)(config=model.config.to_dict())
    names = get_gguf_hf_weights_map(model, processor)
    done, total = 0, sum(int(tensor.n_elements) for tensor in table.tensors)
    joined: dict[str, Any] = {"tensors": {}}  # filled by a processor that joins several tensors into one
    for tensor in table.tensors:
        values = np.empty(tuple(int(size) for size in reversed(tensor.shape)), np.float32)
        rows = values.reshape(-1, values.shape[-1])
        source = tensor.data.reshape(rows.shape[0], -1)
        step = max(1, CHUNK_ELEMENTS // rows.shape[1])
        for start in range(0, rows.shape[0], step):
            progress(f"Unpacking {title}", (done + start * rows.shape[1]) >> 20, total >> 20)
            rows[start : start + step] = dequantize(source[start : start + step], tensor.tensor_type)
        done += values.size
        processed = processor.process(
            weights=values, name=tensor.name, tensor_key_mapping=names, parsed_parameters=joined
        )
        if processed.name is None:
            continue
        if processed.name not in names:
            raise ModelError(
                f"The GGUF holds {shown(tensor.name)}, which transformers {transformers.__version__} does "
                "not read, so the loaded model would differ from the file. Use its safetensors weights."
            )
        yield names[processed.name], torch.from_numpy(np.ascontiguousarray(processed.weights))
    yield from joined["tensors"].items()


def _write_shards(tensors: Iterator[tuple[str, torch.Tensor]], model: PreTrainedModel, folder: Path) -> None:
    """Write shards of at most SHARD_BYTES and their index. A larger tensor gets a shard for itself."""
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    file_of: dict[str, str] = {}
    shard: dict[str, torch.Tensor] = {}

    def flush() -> None:
        if shard:
            name = f"weights-{len(set(file_of.values())) + 1:05}.safetensors"
            save_file(shard, folder / name, metadata={"format": "pt"})
            file_of.update(dict.fromkeys(shard, name))
            shard.clear()

    size = 0
    for name, tensor in tensors:
        if expected.get(name) != tuple(tensor.shape):
            raise ModelError(
                f"The GGUF's {name} has the shape {list(tensor.shape)}; the model of its config needs "
                f"{list(expected.get(name, ()))}. Use its safetensors weights."
            )
        if size + tensor.nbytes > SHARD_BYTES:
            flush()
            size = 0
        shard[name] = tensor
        size += tensor.nbytes
        del tensor
    flush()
    tied = set(getattr(model, "all_tied_weights_keys", ()))
    if missing := sorted(expected.keys() - file_of.keys() - tied):
        raise ModelError(
            f"The GGUF lacks {len(missing)} weights, the first {missing[0]}. Fetch or copy it again."
        )
    index = {"metadata": {"format": "pt"}, "weight_map": file_of}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")
