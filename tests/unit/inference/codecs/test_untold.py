"""Untold: what a format has no word for is named in the client's words."""

from inference.codecs.untold import Untold
from inference.ir.chat import ChatRequest
from inference.ir.content import Family

UNTOLD = Untold({"seed": "seed", "cache_key": "prompt_cache_key", "verbosity": "verbosity"})


def test_what_is_said_is_named() -> None:
    asked = ChatRequest(model="m", messages=(), family=Family.OPENAI_CHAT, seed=0, cache_key="k")
    assert UNTOLD.names(asked) == ["seed", "prompt_cache_key"]


def test_nothing_is_named_of_a_request_that_says_nothing_of_it() -> None:
    assert UNTOLD.names(ChatRequest(model="m", messages=(), family=Family.OPENAI_CHAT, temperature=1.0)) == []
