"""Blocks of Anthropic's that only it has a word for stay whole, beside those all have."""

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from inference.codecs.anthropic.reading import read_content
from inference.codecs.anthropic.writing import BlockWriter
from inference.ir.content import File, Opaque, Text, ToolCall, ToolResult
from inference.ir.errors import InvalidField


def read(*blocks: dict[str, Any]) -> Any:
    return read_content(Raw(msgspec.json.encode(blocks)), "c")


BLOCKS: list[dict[str, Any]] = [
    {"type": "text", "text": "x", "citations": [{"type": "page_location", "cited_text": "c", "document_index": 0}]},
    {"type": "image", "source": {"type": "file", "file_id": "f"}, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    {"type": "image", "source": {"type": "new", "x": 1}},
    {"type": "document", "source": {"type": "url", "url": "https://x"}, "context": "C", "citations": {"enabled": True}},
    {"type": "search_result", "source": "s", "title": "t", "content": []},
    {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}, "caller": {"type": "direct"}},
    {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "tool_reference", "tool_name": "t"}]},
    {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
]  # fmt: skip
FOUND: list[dict[str, Any]] = [
    {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "A"}],
     "citations": {"enabled": True}, "cache_control": {"type": "ephemeral"}},
    {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "A"}]}, "title": "T"},
    {"type": "document", "source": {"type": "content", "content": "A"}},
    {"type": "document", "source": {"type": "content", "content": [{"type": "image", "source": {"type": "new"}}]}},
]  # fmt: skip


@pytest.mark.parametrize("block", [*BLOCKS, *FOUND], ids=lambda block: block["type"])
def test_each_comes_back_as_it_was(block: dict[str, Any]) -> None:
    dropped: list[str] = []
    written = BlockWriter(own=True, answer=False, dropped=dropped).blocks(read(block), "c")
    assert json.loads(msgspec.json.encode(written)) == [block]
    assert dropped == []


def test_what_others_can_be_told_of_them() -> None:
    text, _, image, _, search, call, result, _ = read(*BLOCKS)
    assert isinstance(text, Text)
    assert text.citations[0].cited == "c"
    assert isinstance(image, Opaque)
    assert isinstance(search, Opaque)
    assert isinstance(call, ToolCall)
    assert call.rest.keys() == {"caller"}
    assert isinstance(result, ToolResult)
    dropped: list[str] = []
    BlockWriter(own=False, answer=True, dropped=dropped).blocks([call], "content")
    assert dropped == ["content[0].caller"]


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (b"7", "c"),
        (b"[7]", "c.0"),
        (b'[{"type":"text"}]', "c.0.text"),
        (
            b'[{"type":"tool_result","tool_use_id":"1","content":[{"type":"thinking","thinking":"x"}]}]',
            "c.0.content.0.type",
        ),
    ],
)
def test_mistakes(content: bytes, path: str) -> None:
    with pytest.raises(InvalidField) as wrong:
        read_content(Raw(content), "c")
    assert wrong.value.param == path


def test_what_a_clients_search_found_is_text_to_others() -> None:
    texts = [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]
    found, document = read(
        {"type": "search_result", "source": "s", "title": "T", "content": texts},
        {"type": "document", "source": {"type": "content", "content": texts}},
    )
    assert isinstance(found, File)
    assert isinstance(document, File)
    assert (found.text, found.title, document.text) == ("A\n\nB", "T", "A\n\nB")
    dropped: list[str] = []
    BlockWriter(own=False, answer=False, dropped=dropped).blocks((found, document), "c")
    assert dropped == ["c[0].search_result", "c[1].source"]
