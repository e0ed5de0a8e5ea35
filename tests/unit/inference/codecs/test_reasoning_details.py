"""Thoughts and their opaque pieces through `reasoning_details` and back."""

import msgspec
import pytest
from msgspec import Raw

from inference.codecs.reasoning_details import Detail, read_details, write_details
from inference.ir.content import Family, Reasoning


@pytest.mark.parametrize(
    "thought",
    [
        Reasoning(text="hm", signature="S", issuer=Family.ANTHROPIC),
        Reasoning(redacted="D", issuer=Family.BEDROCK),
        Reasoning(summaries=("a", "b"), signature="E", issuer=Family.OPENAI_RESPONSES, id="rs"),
        Reasoning(redacted="D", issuer=Family.OPENAI_CHAT, rest={"format": Raw(b'"xai-responses-v1"')}),
        Reasoning(text="plain"),
    ],
)
def test_what_is_written_is_read_again(thought: Reasoning) -> None:
    written = msgspec.json.decode(msgspec.json.encode(write_details(thought, 3)), type=list[Detail])
    assert {entry.index for entry in written} == {3}
    (read,) = read_details(written)
    bare = {name: bytes(value) for name, value in read.rest.items()}
    assert bare == {name: bytes(value) for name, value in thought.rest.items()}
    assert msgspec.structs.replace(read, rest={}) == msgspec.structs.replace(thought, rest={})
