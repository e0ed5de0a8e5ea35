from msgspec import Raw

from inference.codecs.gemini.grounding import read_citations, write_grounding
from inference.ir.content import Citation, Family

METADATA = Raw(
    '{"groundingChunks":[{"web":{"uri":"https://a","title":"A"}},{"retrievedContext":{"title":"B"}}],'
    '"groundingSupports":[{"segment":{"startIndex":5,"endIndex":10,"text":"🎈b"},"groundingChunkIndices":[0,1,9]}]}'.encode()
)


def test_places_in_bytes_become_places_in_characters() -> None:
    first, second = read_citations(METADATA, "aéé🎈b")
    assert (first.url, first.title, first.start, first.end) == ("https://a", "A", 3, 5)
    assert second == Citation(title="B", cited="🎈b", start=3, end=5, family=Family.GEMINI)
    assert read_citations(Raw(b"[]"), "x") == ()


def test_and_back() -> None:
    text = "aéé🎈b"
    written = write_grounding(read_citations(METADATA, text), text)
    assert written is not None
    assert b'"startIndex":5,"endIndex":10' in bytes(written)
    assert write_grounding([Citation(title="no address")], text) is None
