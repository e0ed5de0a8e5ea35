"""Caching: marks placed in a prompt up to which Anthropic caches it, where the client placed none. Pure.

Four marks are allowed: the last tool, the system prompt's end, and the last two turns of the user, so that each
request finds what the one before it wrote. (https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching)
"""

import msgspec
from msgspec import Raw

from inference.codecs.body import Fields, encode_fields, raw

_MARK = Raw(b'{"type":"ephemeral"}')
_KEY = b'"cache_control"'
_list = msgspec.json.Decoder(list[Raw])
_object = msgspec.json.Decoder(dict[str, Raw])
_text = msgspec.json.Decoder(str)
_UNMARKED = (b'"thinking"', b'"redacted_thinking"')
"""Blocks that take no mark."""


def place_cache(fields: Fields) -> None:
    """Mark a request's tools, system prompt and last two turns of the user, unless the client marked anything.

    What is no request of Anthropic's is left as it is: the provider says what is wrong with it.
    """
    marked = (fields.get(name, Raw(b"")) for name in ("tools", "system", "messages"))
    if "cache_control" in fields or any(_KEY in bytes(value) for value in marked):
        return
    try:
        if "tools" in fields and (tools := _list.decode(fields["tools"])):
            tools[-1] = _marked(tools[-1])
            fields["tools"] = raw(tools)
        if "system" in fields:
            fields["system"] = _content(fields["system"])
        if "messages" in fields:
            fields["messages"] = _turns(_list.decode(fields["messages"]))
    except (msgspec.DecodeError, RecursionError):
        return


def _turns(turns: list[Raw]) -> Raw:
    left = 2
    for at in range(len(turns) - 1, -1, -1):
        turn = _object.decode(turns[at])
        if bytes(turn.get("role", b"")) == b'"user"' and "content" in turn:
            turn["content"] = _content(turn["content"])
            turns[at] = Raw(encode_fields(turn))
            left -= 1
            if not left:
                break
    return raw(turns)


def _content(content: Raw) -> Raw:
    """Content whose last block that can be is marked."""
    if bytes(content)[:1] == b'"':
        if not _text.decode(content):
            return content
        return raw([{"type": "text", "text": content, "cache_control": _MARK}])
    blocks = _list.decode(content)
    for at in range(len(blocks) - 1, -1, -1):
        block = _object.decode(blocks[at])
        kind = bytes(block.get("type", b""))
        if kind not in _UNMARKED and bytes(block.get("text", b"")) != b'""':
            blocks[at] = _marked(blocks[at])
            break
    return raw(blocks)


def _marked(block: Raw) -> Raw:
    return Raw(encode_fields({**_object.decode(block), "cache_control": _MARK}))
