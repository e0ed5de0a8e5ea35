"""Ids of calls in Anthropic's dialect: those that another provider gave, and Anthropic would refuse. Pure.

A conversation may have begun elsewhere. Its calls have ids in whatever letters that provider likes, and a client gives
them back as it got them. (https://docs.anthropic.com/en/api/messages, `tool_use_id`)
"""

import re

import msgspec
from msgspec import Raw

from inference.codecs.call_id import fitting

CALL_ID = re.compile(r"[a-zA-Z0-9_-]+")
"""What Anthropic takes."""
_ODD = re.compile(rb'_use_id"\s*:\s*"(?![a-zA-Z0-9_-]+")').search
"""A result of a call that has another id. Every call has its result where a model is asked to go on, so that looking
for those is enough; and the first byte is one that most text lacks, so that it is found as fast as memory is read."""
_encode = msgspec.json.Encoder().encode
_list = msgspec.json.Decoder(list[Raw])
_fields = msgspec.json.Decoder(dict[str, Raw])
_text = msgspec.json.Decoder(str)


def has_odd_ids(body: bytes) -> bool:
    """Whether a request may name a call by an id that Anthropic does not take."""
    return _ODD(body) is not None


def with_fitting_ids(messages: Raw) -> Raw:
    """The turns, each call and its result by the same id that Anthropic takes; all else as the client wrote it. What
    is no list of turns stays as it is, for Anthropic to judge."""
    try:
        return Raw(_encode([_turn(turn) for turn in _list.decode(messages)]))
    except (msgspec.DecodeError, RecursionError):
        return messages


def _turn(turn: Raw) -> Raw:
    if b"tool_use" not in bytes(turn):
        return turn
    fields = _fields.decode(turn)
    content = fields.get("content")
    if content is None or bytes(memoryview(content)[:1]) != b"[":
        return turn
    return Raw(_encode({**fields, "content": [_block(each) for each in _list.decode(content)]}))


def _block(block: Raw) -> Raw:
    if b"tool_use" not in bytes(block):
        return block
    fields = _fields.decode(block)
    name = "id" if bytes(fields.get("type", b"")) == b'"tool_use"' else "tool_use_id"
    given = fields.get(name)
    if given is None or bytes(memoryview(given)[:1]) != b'"':
        return block
    said = _text.decode(given)
    taken = fitting(said, CALL_ID)
    return block if taken == said else Raw(_encode({**fields, name: taken}))
