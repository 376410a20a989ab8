"""The provider `local`: static word vectors from wordllama's weights, without a service."""

from __future__ import annotations

import functools
import importlib.util
import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trailblazer.config import Config
from trailblazer.errors import ConfigWrong, DocumentInvalid
from trailblazer.pipeline.embedders import (
    AskedVector,
    Identity,
    Model,
    Unserved,
    asked_vector,
    choose_model,
    refuse_blank,
)
from trailblazer.pipeline.tokens import splintr_version
from trailblazer.schemas import parse_json

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from trailblazer.pipeline.embedders import Vectors

# The model was trained so that the first 128 or 64 numbers of a vector are a vector too. A floor is above all but the
# nearest of what benchmarks/ask.py asks to choose it: questions that no page of the manual answers.
MODELS = {"l2-supercat-256": Model(256, frozenset({64, 128}), {64: 0.5, 128: 0.45, 256: 0.4})}
_DEFAULT = "l2-supercat-256"
_WEIGHTS = "weights/l2_supercat_256.safetensors"
_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
# The fast call would read these as control words; the ordinary call reads them as text.
_CONTROL = ("<s>", "</s>", "<unk>")


def identify(config: Config) -> Identity:
    """Return the configured model and dimension."""
    model, dimension = choose_model(config, MODELS, _DEFAULT)
    return Identity("local", model, dimension, "llama-2", f"splintr-{splintr_version()}")


def check_ready(config: Config) -> Identity:
    """Return the identity. Missing weights are refused with ConfigWrong."""
    identity = identify(config)
    _package()
    return identity


def learn_dimension(config: Config) -> None:
    """Do nothing: the dimension of every model is known."""


def load(config: Config) -> LocalEmbedder:
    """Return the embedder with its weights in memory (32 MB, 0.2 s)."""
    return LocalEmbedder(check_ready(config), _package())


def vector_of(config: Config, question: str) -> AskedVector:
    """Return the vector of one question, as LocalEmbedder makes it.

    Only the rows of its tokens are read, and added up without numpy. splintr has the table of LLaMA 2 built in, which
    loads in a sixth of the time that the file takes; it is slower for many texts.
    """
    import math

    import splintr

    refuse_blank([question])
    model, dimension = choose_model(config, MODELS, _DEFAULT)
    tokens = splintr.Tokenizer.from_pretrained("llama2").encode_ordinary(question)
    sums = [math.fsum(column) for column in zip(*_read_rows(_package() / _WEIGHTS, tokens, dimension), strict=True)]
    length = math.hypot(*sums) or 1.0
    made_by = Identity("local", model, dimension, "llama-2", "")
    return asked_vector(made_by, [number / length for number in sums], MODELS)


def _read_rows(file: Path, tokens: Sequence[int], dimension: int) -> list[tuple[float, ...]]:
    """Return the first `dimension` numbers of each token's row in the file of weights."""
    with file.open("rb") as weights:
        try:
            (size,) = struct.unpack("<Q", weights.read(8))
            entry = json.loads(weights.read(size))["embedding.weight"]
            letter, width = {"F16": ("e", 2), "F32": ("f", 4)}[entry["dtype"]]
            start, row = 8 + size + entry["data_offsets"][0], width * entry["shape"][1]
            found = []
            for token in tokens:
                weights.seek(start + token * row)
                found.append(struct.unpack(f"<{dimension}{letter}", weights.read(width * dimension)))
        except (ValueError, KeyError, TypeError, struct.error) as error:
            raise _unreadable(file, error) from error
    return found


def _unreadable(file: Path, error: Exception) -> DocumentInvalid:
    return DocumentInvalid(f"{file} is not a readable safetensors file: {error}", "Install it again.")


@functools.cache
def _package() -> Path:
    """Return the folder of wordllama's files. The package is not imported: its loader would download files."""
    found = importlib.util.find_spec("wordllama")
    for folder in (found.submodule_search_locations or ()) if found else ():
        if (Path(folder) / _WEIGHTS).is_file() and (Path(folder) / _TOKENIZER).is_file():
            return Path(folder)
    raise ConfigWrong("the weights of the local embedder are not installed", 'Run: pip install "wordllama"')


def read_safetensors(file: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a safetensors file (8 bytes of header size, a JSON header, then the numbers).

    A file that is cut short or has another format is refused with DocumentInvalid.
    """
    import numpy as np

    kinds = {"F16": np.float16, "F32": np.float32, "I64": np.int64}
    raw = np.memmap(file, dtype=np.uint8, mode="r")
    try:
        (size,) = struct.unpack("<Q", raw[:8].tobytes())
        header: dict[str, dict[str, Any]] = parse_json(raw[8 : 8 + size].tobytes())
        arrays = {}
        for name, entry in header.items():
            if name != "__metadata__":
                start, end = (8 + size + offset for offset in entry["data_offsets"])
                arrays[name] = raw[start:end].view(kinds[entry["dtype"]]).reshape(entry["shape"])
    except (ValueError, KeyError, struct.error) as error:
        raise _unreadable(file, error) from error
    return arrays


class LocalEmbedder:
    """The mean of the vectors of a text's tokens, scaled to length 1; one thread, about 10,000 chunks a second."""

    provider = "local"
    unserved = Unserved()  # it is no service
    batches_ahead = 4  # as long as Postgres takes to compress the texts of a run of a few thousand chunks

    def __init__(self, identity: Identity, package: Path) -> None:
        import numpy as np
        import splintr

        self.model = identity.model
        self.dimension = identity.dimension
        self.tokenizer_name = identity.tokenizer_name
        self.tokenizer_version = identity.tokenizer_version
        self._tokenizer: Any = splintr.from_json(str(package / _TOKENIZER))
        weights = read_safetensors(package / _WEIGHTS)["embedding.weight"]
        self._weights: npt.NDArray[np.float32] = np.ascontiguousarray(weights[:, : self.dimension], dtype=np.float32)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a vector for each text, shape (texts, dimension); a blank text is refused with DocumentInvalid."""
        import numpy as np

        refuse_blank(texts)
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for position, text in enumerate(texts):
            tokens = np.sort(self._tokens(text))
            # Each different token is fetched once and multiplied by its count: half the memory traffic.
            last = np.flatnonzero(np.append(tokens[1:] != tokens[:-1], True))
            counts = np.diff(last, prepend=-1).astype(np.float32)
            np.matmul(counts, self._weights.take(tokens[last], axis=0), out=vectors[position])
        # Mean and sum differ by a factor only, and scaling to length 1 removes it.
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return vectors

    def probe(self) -> None:
        """Make one vector."""
        self.embed(["probe"])

    def _tokens(self, text: str) -> npt.NDArray[np.uint16]:
        import numpy as np

        if any(word in text for word in _CONTROL):
            tokens = np.array(self._tokenizer.encode_ordinary(text), dtype=np.uint16)
        else:
            tokens = np.frombuffer(self._tokenizer.encode_flat(text), dtype=np.uint32).astype(np.uint16)
        return tokens[1:]  # the first token marks the beginning of a text
