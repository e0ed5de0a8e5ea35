"""MiniLM's vectors against those of a vLLM 0.32 server over the same weights."""

import numpy as np
import pytest

from inference.local.builtin import MINILM
from inference.local.embedding_model import EmbeddingModel, normalized
from inference.local.library import Library

# Components 0, 1, 100 and 383 of what vLLM (minilm, float32) answered, and its count of tokens.
VLLM: list[tuple[str | list[int], list[float], int]] = [
    ("Hello!", [-0.060627, 0.039965, 0.046097, 0.010376], 4),
    ("What is a token?", [-0.062693, 0.012762, -0.001641, -0.046240], 7),
    ([5, 6, 7], [-0.026767, 0.020626, -0.005899, -0.027077], 3),
    ([8, 9], [-0.057687, 0.085368, 0.002455, 0.033188], 2),
    ("", [-0.118838, 0.048299, 0.035949, -0.015717], 2),
]


@pytest.fixture(scope="module")
def minilm(library: Library) -> EmbeddingModel:
    card = library.card(MINILM)
    assert card is not None
    return EmbeddingModel(card, library.folder(MINILM), cores=1)


def never() -> bool:
    return False


def test_vectors_and_counts_are_vllms(minilm: EmbeddingModel) -> None:
    ids = [minilm.tokens(given) if isinstance(given, str) else given for given, _, _ in VLLM]
    assert [len(tokens) for tokens in ids] == [count for _, _, count in VLLM]
    vectors = minilm.embed(ids, never)
    assert vectors.shape == (len(VLLM), 384)
    assert vectors.dtype == np.float32
    for vector, (_, expected, _) in zip(vectors, VLLM, strict=True):
        assert vector[[0, 1, 100, 383]] == pytest.approx(expected, abs=1e-5)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_a_batch_gives_what_each_text_alone_gives(minilm: EmbeddingModel) -> None:
    ids = [minilm.tokens("word " * (1 + at * 7 % 40)) for at in range(70)]
    together = minilm.embed(ids, never)
    for at in (0, 33, 69):
        assert together[at] == pytest.approx(minilm.embed([ids[at]], never)[0], abs=1e-5)


def test_long_texts_are_counted_whole(minilm: EmbeddingModel) -> None:
    ids = minilm.tokens("word " * 1000)
    assert (len(ids), ids[-1]) == (1002, minilm.tokens("")[-1])
    assert minilm.embed([minilm.tokens("word " * 254)], never).shape == (1, 384)


def test_a_client_that_left_stops_the_work(minilm: EmbeddingModel) -> None:
    assert len(minilm.embed([[5, 6]] * 100, lambda: True)) == 0


def test_zeros_stay_zeros() -> None:
    rows = normalized(np.array([[0, 0], [3, 4]], np.float32))
    assert rows.tolist() == [[0, 0], pytest.approx([0.6, 0.8])]
