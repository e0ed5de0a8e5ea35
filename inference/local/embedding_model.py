"""Embedding model: one loaded encoder. Token ids in, vectors out, as sentence-transformers would give them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from inference.local.engine import Encoder
from inference.local.library import LocalCard

Vectors = NDArray[np.float32]

BATCH = 32
"""Texts per pass through the encoder; between two passes a client that has gone is noticed."""


class EmbeddingModel:
    """An encoder on the CPU: hidden states, pooled by mean or first token, of length one."""

    def __init__(self, card: LocalCard, folder: Path, *, cores: int) -> None:
        self.card = card
        self.parallel = max(2, cores)
        self._encoder = Encoder(folder, parallel=self.parallel, threads=1)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()

    @property
    def vocabulary(self) -> int:
        """How many tokens there are."""
        return self._tokenizer.get_vocab_size()

    def tokens(self, text: str) -> list[int]:
        """Token ids of a text with the model's special tokens; there may be more than its context holds."""
        return self._tokenizer.encode(text).ids

    def embed(self, inputs: Sequence[Sequence[int]], gone: Callable[[], bool]) -> Vectors:
        """One row per input, (inputs, dimensions), float32; fewer rows when `gone` said True on the way.

        Each input fits the context. Sorting by length keeps padding, and so wasted work, small.
        """
        order = sorted(range(len(inputs)), key=lambda at: len(inputs[at]))
        vectors = np.empty((len(inputs), self.card.dimensions or 0), np.float32)
        for start in range(0, len(order), BATCH):
            if gone():
                return vectors[:0]
            batch = order[start : start + BATCH]
            vectors[batch] = self._pooled([list(inputs[at]) for at in batch])
        return vectors

    def _pooled(self, batch: list[list[int]]) -> Vectors:
        hidden = self._encoder.hidden_states(batch)
        if self.card.pooling == "cls":
            pooled = hidden[:, 0]
        else:
            pooled = np.stack(
                [rows[: len(ids)].mean(axis=0) for rows, ids in zip(hidden, batch, strict=True)]
            )
        return normalized(pooled) if self.card.normalize else pooled


def normalized(vectors: Vectors) -> Vectors:
    """Every row at length one; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, np.float32(1e-12))
