"""A legacy completion read as a conversation of one message, for targets that only hold conversations. Pure.

A model that talks answers a prompt rather than going on with it; that is the nearest there is.
(https://platform.openai.com/docs/api-reference/completions/create)
"""

from msgspec import Raw

from gateway.dialects.hints import least
from inference.codecs.body import check_text, decode_fields
from inference.codecs.fields import Fields
from inference.ir.chat import ChatRequest, Message, Role
from inference.ir.content import Family, Text
from inference.ir.errors import InvalidField

DEFAULT_LIMIT = 16
"""Tokens of an answer whose length the client does not limit, as OpenAI's completions have it."""


def parse(body: bytes) -> ChatRequest:
    """Raises BadRequest, InvalidJSON, or InvalidField; so for tokens and for several prompts.

    `suffix`, `echo`, `logprobs` and `best_of` have no like in a conversation: they are left in `rest`, which no
    format of conversations shares, so each is named as dropped.
    """
    check_text(body)
    fields = Fields(decode_fields(body))
    fields.raw("aspendos")
    model = fields.needed("model")
    prompt = _prompt(fields)
    fields.raw("stream_options")
    limit = least(fields.integer("max_tokens"))
    return ChatRequest(
        model=model,
        messages=(Message(role=Role.USER, parts=(Text(text=prompt),)),),
        family=Family.OPENAI_COMPLETIONS,
        max_output=DEFAULT_LIMIT if limit is None else limit,
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.integer("top_k"),
        frequency_penalty=fields.number("frequency_penalty"),
        presence_penalty=fields.number("presence_penalty"),
        seed=fields.integer("seed"),
        stop=fields.one_or_more("stop"),
        answers=fields.integer("n"),
        logit_bias=fields.numbers("logit_bias"),
        user=fields.text("user"),
        stream=bool(fields.flag("stream")),
        rest=fields.rest(),
    )


def _prompt(fields: Fields) -> str:
    if "prompt" not in fields:
        raise fields.missing("prompt")
    if fields.is_text("prompt"):
        return fields.needed("prompt")
    items = fields.items("prompt")
    if len(items) == 1 and bytes(items[0]).startswith(b'"'):
        return Fields({"prompt": items[0]}).needed("prompt")
    raise _several(items)


def _several(items: list[Raw]) -> InvalidField:
    tokens = bool(items) and not bytes(items[0]).startswith(b'"')
    what = "an array of tokens, which only its own tokenizer reads" if tokens else f"{len(items)} prompts"
    return InvalidField(
        f"Invalid value for `prompt`: what serves this model holds conversations and cannot be given {what}. "
        "Send one string, and each prompt in a request of its own.",
        param="prompt",
        code="not_translatable",
    )
