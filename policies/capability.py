"""Capability: whether a model takes what a request brings. Pure.

Only of models whose capabilities are declared; of others nothing is known, and their providers decide. Every word of
the catalogue is here: one a request can need, or one of `HINTS`, which only say how a request is written down.
"""

from collections.abc import Iterable

from inference.ir.cards import Model
from inference.ir.errors import InvalidField
from inference.ir.need import Need

LACKS = {
    "tools": "calls no tools",
    "vision": "sees no pictures",
    "audio_input": "hears no audio",
    "video_input": "watches no video",
    "pdf_input": "reads no PDFs",
    "audio_output": "speaks no audio",
    "reasoning": "does not reason",
    "adaptive_thinking": "does not choose itself how much to think",
    "json_schema": "keeps to no JSON schema",
    "logprobs": "tells no log probabilities",
}
"""What a model without a capability does not do."""
HINTS = frozenset({"prompt_cache"})
"""Words that no request needs: a mark for caching is a wish, and left out, by name, where it cannot be said."""
_MOST_NAMED = 5


def lacking(model: Model, needs: Iterable[Need]) -> Need | None:
    """The first need that the model cannot serve; None where it can be served."""
    if not model.declares:
        return None
    return next((need for need in needs if need.capability not in model.capabilities), None)


def incapable(asked: str, need: Need, others: Iterable[Model]) -> InvalidField:
    """The refusal, with models that could do it. `asked` is the name the client used."""
    capability = need.capability
    able = sorted({each.name for each in others if capability in each.capabilities})
    named = ", ".join(f"`{name}`" for name in able[:_MOST_NAMED])
    more = f" and {len(able) - _MOST_NAMED} more" if len(able) > _MOST_NAMED else ""
    instead = f"Models here that have it: {named}{more}." if able else "No model you may use here has it."
    return InvalidField(
        f"The model `{asked}` {LACKS[capability]} (capability `{capability}`), and `{need.param}` asks for it. "
        f"{instead}",
        param=need.param,
        code="capability_missing",
    )
