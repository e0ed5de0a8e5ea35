"""A whole answer as a response object. Pure."""

import msgspec

from gateway.dialects.dialect import Rendered, Setting
from gateway.dialects.openai_responses.output import Names, OutputWriter
from gateway.dialects.openai_responses.response import INCOMPLETE, Echo, base_of
from inference.codecs.responses.parts import OWN
from inference.codecs.service_tier import openai_tier
from inference.ir.chat import ChatRequest
from inference.ir.completion import Choice, Completion

_encode = msgspec.json.Encoder().encode
_NOTHING = Choice()


def answer(completion: Completion, asked: ChatRequest, setting: Setting) -> Rendered:
    """The first choice; a response has only one."""
    choice = completion.choices[0] if completion.choices else _NOTHING
    writer = OutputWriter(Names(base_of(setting)), completion.family)
    output = writer.write(choice)
    dropped = [*writer.dropped, *(f"choices[{each.index}]" for each in completion.choices[1:])]
    if completion.family is not OWN:
        dropped += [*completion.rest, *choice.rest]
    if choice.stop_sequence is not None:
        dropped.append("stop_sequence")
    tier = completion.service_tier if completion.family is OWN else openai_tier(completion.service_tier)
    if tier is None and completion.service_tier is not None:
        dropped.append("service_tier")
    body = Echo(asked, setting).object(
        "incomplete" if choice.finish in INCOMPLETE else "completed",
        output=output,
        usage=completion.usage,
        finish=choice.finish,
        tier=tier,
    )
    return Rendered(_encode(body), tuple(dict.fromkeys(dropped)))
