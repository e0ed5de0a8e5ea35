"""Traits: what a server of OpenAI's chat format does differently from OpenAI. Pure words."""

from collections.abc import Mapping

from msgspec import Struct

from inference.ir.content import Family


class ChatTraits(Struct, frozen=True, kw_only=True):
    """`path` is below the base URL; `family` is whose clients are given all they said.

    `thoughts` is the field of a message in which it wants its thoughts back; None: it refuses them. `top_k`: it
    takes one. `by_address`: it fetches sound and film itself (`audio_url`, `video_url`). `unthinking` is what tells
    a model not to think that thinks unless told so.
    """

    path: str = "/chat/completions"
    family: Family = Family.OPENAI_CHAT
    thoughts: str | None = None
    top_k: bool = False
    by_address: bool = False
    unthinking: Mapping[str, object] = {}
