"""How many tokens a text has, and where each token ends, by splintr's tables."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from trailblazer.errors import ConfigWrong

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# Every control word contains this. The fast call would read it as a control word, the ordinary call as text.
_CONTROL = "<|"


class TokenTable:
    """A token table such as cl100k_base. It reads control words in a text as ordinary text."""

    def __init__(self, name: str) -> None:
        import numpy as np
        import splintr

        self.name = name
        self._tokenizer: Any = splintr.Tokenizer.from_pretrained(name)
        self.encode_flat = self._tokenizer.encode_flat
        size = splintr.base_vocab_size(name)
        # How many characters begin in each token: its bytes that do not continue a character
        self._characters = np.zeros(size, dtype=np.int32)
        for token in range(size):
            try:
                spelled = self._tokenizer.decode_token_bytes(token)
            except ValueError:  # no token has this number
                continue
            continued = 0 if spelled.isascii() else sum((byte & 0xC0) == 0x80 for byte in spelled)
            self._characters[token] = len(spelled) - continued

    def count(self, text: str) -> int:
        """Return how many tokens a text has."""
        if _CONTROL in text:
            return len(self._tokenizer.encode_ordinary(text))
        return len(self.encode_flat(text)) >> 2

    def ends(self, text: str) -> npt.NDArray[np.int64]:
        """Return the end of each token of a text, as offsets in characters, shape (tokens,)."""
        import numpy as np

        if _CONTROL in text:
            tokens = np.array(self._tokenizer.encode_ordinary(text), dtype=np.uint32)
        else:
            tokens = np.frombuffer(self.encode_flat(text), dtype=np.uint32)
        return np.cumsum(self._characters[tokens], dtype=np.int64)


@functools.cache
def load_tokens(name: str) -> TokenTable:
    """Return a token table by its name, loaded once per process. Without splintr it is refused with ConfigWrong."""
    try:
        return TokenTable(name)
    except ImportError as error:
        raise ConfigWrong(
            f"the token table {name} cannot be loaded: {error}", "Install what trailblazer needs: make bootstrap."
        ) from error


@functools.cache
def splintr_version() -> str:
    """Return the version of splintr, which is part of every fingerprint."""
    from importlib.metadata import version

    return version("splintr-rs")
