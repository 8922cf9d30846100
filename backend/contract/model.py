"""Which model, and how it is held."""

from dataclasses import dataclass

from backend.contract.errors import RequestError, shown
from backend.contract.fields import fields_of

DTYPES = ("auto", "float32", "bfloat16", "float16")
# 4bit is nf4; 4bit-double quantizes its scales too.
QUANTIZATIONS = ("none", "8bit", "4bit", "4bit-double", "fp4")
DEVICES = ("auto", "cpu", "cuda", "mps", "offload")
DEFAULT_MODEL = "qwen2.5-coder-1.5b"


@dataclass(frozen=True)
class ModelSpec:
    """Which model, and how it is held: a catalogue name, a hub id, a folder or a GGUF file."""

    name: str = DEFAULT_MODEL
    dtype: str = "auto"
    quantization: str = "none"
    device: str = "auto"

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise RequestError(
                "model.name is empty. Give a catalogue name, a hub id, a folder or a GGUF file."
            )
        for name, allowed in (("dtype", DTYPES), ("quantization", QUANTIZATIONS), ("device", DEVICES)):
            value = getattr(self, name)
            if value not in allowed:
                raise RequestError(f"model.{name} must be one of {', '.join(allowed)}, not {shown(value)}.")

    @classmethod
    def from_json(cls, data: object) -> "ModelSpec":
        """Build from `{"name"?, "dtype"?, "quantization"?, "device"?}`. Raises RequestError naming the field."""
        fields = fields_of("model", data, tuple(cls.__dataclass_fields__))
        for name, value in fields.items():
            if not isinstance(value, str):
                raise RequestError(f"model.{name} must be a text, not {shown(value)}.")
        return cls(**fields)

    def to_json(self) -> dict[str, str]:
        """The same, as JSON-ready values."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}
