"""Thoughts of others in a conversation that goes on in its client's own bytes: told from them, and taken out. Pure.

A chat that began at another provider's model brings along what our answers said beside OpenAI's fields: entries of
`reasoning_details`, Google's `thought_signature`, `reasoning_content`. Sealed pieces go back to whoever issued them and
to nobody else; thoughts in plain words are left out only where a server is known to refuse them. What other dialects
say of thoughts is not read here.
"""

import re
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct

from inference.codecs.body import Fields, decode_fields, encode_fields
from inference.codecs.reasoning_details import FORMATS
from inference.ir.content import Family

thinks = re.compile(rb'"(?:reasoning(?:_details|_content)?|thought_signature)"').search
"""Whether bytes have any of the words. Begins with one that all have and few bytes are: it is found as fast as memory
is read."""

_T = TypeVar("_T")
_list = msgspec.json.Decoder(list[Raw])
_fields = msgspec.json.Decoder(Fields)
_text = msgspec.json.Decoder(str)
_encode = msgspec.json.Encoder().encode
_NULL = Raw(b"null")
_EMPTY = (_NULL, Raw(b'""'))


class Taker(Struct, frozen=True, kw_only=True):
    """What a server may have: sealed pieces of the `own` families; it refuses thoughts in the fields `refused`."""

    own: frozenset[Family] = frozenset()
    refused: frozenset[str] = frozenset()


_NOBODY = Taker()
_OPENAI = frozenset({Family.OPENAI_RESPONSES})
_HOSTS = {
    "api.openai.com": Taker(own=_OPENAI, refused=frozenset({"reasoning_content", "reasoning"})),
    "azure.com": Taker(own=_OPENAI),
    "api.groq.com": Taker(refused=frozenset({"reasoning_content"})),
    "googleapis.com": Taker(own=frozenset({Family.GEMINI})),
    "anthropic.com": Taker(own=frozenset({Family.ANTHROPIC})),
    "openrouter.ai": Taker(own=frozenset({Family.ANTHROPIC, Family.OPENAI_RESPONSES, Family.GEMINI})),
}
"""By host, with those below it. OpenRouter hands on what Anthropic, OpenAI and Google sealed, and wants it back. Groq
takes its own `reasoning`. (https://console.groq.com/docs/api-reference#chat-create)"""
_GOOGLES = "googleapis.com"
"""Who says `extra_content.google`; OpenRouter has other words for the same."""


def taker_of(wire: str, host: str) -> Taker:
    """What the server at a host may have; `wire` tells where a host is a company's own name for Azure."""
    found = next((taker for name, taker in _HOSTS.items() if _below(host, name)), _NOBODY)
    return _HOSTS["azure.com"] if wire == "azure-openai" and found is _NOBODY else found


def without_foreign(body: bytes, wire: str, host: str) -> tuple[bytes, tuple[str, ...]]:
    """A chat as the server at a host may have it, and where what was sealed and is gone stood in it.

    Thoughts in plain words are no loss and are not named. Bytes stay as they are where nothing is taken out, as does
    what has not the form of a message, for the server to judge. Raises as `decode_fields` does.
    """
    fields = decode_fields(body)
    messages = _read(_list, fields.get("messages"))
    if messages is None:
        return body, ()
    taking = _Taking(taker_of(wire, host), google=_below(host, _GOOGLES))
    kept = [taking.message(each, f"messages[{n}]") for n, each in enumerate(messages)]
    if all(new is old for new, old in zip(kept, messages, strict=True)):
        return body, ()
    return encode_fields({**fields, "messages": Raw(_encode(kept))}), tuple(taking.gone)


class _Taking:
    """Takes out of one conversation what is not for its server."""

    def __init__(self, taker: Taker, *, google: bool) -> None:
        self._taker = taker
        self._google = google
        self.gone: list[str] = []

    def message(self, said: Raw, at: str) -> Raw:
        """The same object where nothing is taken out."""
        if thinks(said) is None:
            return said
        fields = _read(_fields, said)
        if fields is None:
            return said
        kept = {name: value for name, value in fields.items() if name not in self._taker.refused}
        _put(
            kept, "reasoning_details", self._details(kept.get("reasoning_details"), f"{at}.reasoning_details")
        )
        if not self._google:
            self._unsign(kept, at)
            _put(kept, "tool_calls", self._calls(kept.get("tool_calls"), f"{at}.tool_calls"))
        return said if kept == fields else Raw(_encode(kept))

    def _details(self, said: Raw | None, at: str) -> Raw | None:
        """None: none is left."""
        entries = _read(_list, said)
        if entries is None:
            return said
        kept = [each for n, each in enumerate(entries) if self._takes(each, f"{at}[{n}]")]
        if len(kept) == len(entries):
            return said
        return Raw(_encode(kept)) if kept else None

    def _takes(self, entry: Raw, at: str) -> bool:
        fields = _read(_fields, entry)
        if fields is None:
            return True
        sealed = any(fields.get(name, _NULL) not in _EMPTY for name in ("signature", "data"))
        given = fields.get("format", _NULL)
        issuer = FORMATS.get(_read(_text, given) or "")
        if issuer is None:  # of a format that nobody here knows it may well be this server's own
            return sealed or given not in _EMPTY or "reasoning_content" not in self._taker.refused
        if issuer in self._taker.own:
            return True
        if sealed:
            self.gone.append(at)
        return False

    def _calls(self, said: Raw | None, at: str) -> Raw | None:
        calls = _read(_list, said)
        if calls is None:
            return said
        kept = [self._call(each, f"{at}[{n}]") for n, each in enumerate(calls)]
        changed = any(new is not old for new, old in zip(kept, calls, strict=True))
        return Raw(_encode(kept)) if changed else said

    def _call(self, said: Raw, at: str) -> Raw:
        fields = _read(_fields, said)
        if fields is None:
            return said
        kept = dict(fields)
        self._unsign(kept, at)
        return said if kept == fields else Raw(_encode(kept))

    def _unsign(self, fields: Fields, at: str) -> None:
        """Takes out Google's signature, and what holds nothing else."""
        extra = _read(_fields, fields.get("extra_content"))
        google = _read(_fields, extra.get("google")) if extra else None
        if not extra or not google or google.pop("thought_signature", None) is None:
            return
        self.gone.append(f"{at}.extra_content.google.thought_signature")
        _put(extra, "google", Raw(_encode(google)) if google else None)
        _put(fields, "extra_content", Raw(_encode(extra)) if extra else None)


def _below(host: str, name: str) -> bool:
    return host == name or host.endswith(f".{name}")


def _put(fields: Fields, name: str, value: Raw | None) -> None:
    if value is None:
        fields.pop(name, None)
    else:
        fields[name] = value


def _read(decoder: msgspec.json.Decoder[_T], said: Raw | None) -> _T | None:
    """None where it has another form."""
    if said is None:
        return None
    try:
        return decoder.decode(said)
    except (msgspec.DecodeError, RecursionError):
        return None
