"""Capability: whether a model takes what a request brings. Pure.

Only of models whose capabilities are declared; of others nothing is known, and their providers decide.
"""

from collections.abc import Iterable

from inference.ir.cards import Model
from inference.ir.errors import InvalidField

_WORDS = {
    "tools": ("calls no tools", "tools"),
    "vision": ("sees no pictures", "messages"),
    "audio_input": ("hears no audio", "messages"),
}
_MOST_NAMED = 5


def lacking(model: Model, *, tools: bool, pictures: bool, audio: bool) -> str | None:
    """The first capability that a request needs and the model lacks; None where it can be served."""
    if not model.declares:
        return None
    for needed, capability in ((tools, "tools"), (pictures, "vision"), (audio, "audio_input")):
        if needed and capability not in model.capabilities:
            return capability
    return None


def incapable(model: Model, asked: str, capability: str, others: Iterable[Model]) -> InvalidField:
    """The refusal, with models that could do it. `asked` is the name the client used."""
    able = sorted({each.name for each in others if capability in each.capabilities})
    what, param = _WORDS[capability]
    named = ", ".join(f"`{name}`" for name in able[:_MOST_NAMED])
    more = f" and {len(able) - _MOST_NAMED} more" if len(able) > _MOST_NAMED else ""
    instead = f"Models here that have it: {named}{more}." if able else "No model you may use here has it."
    return InvalidField(
        f"The model `{asked}` {what} (capability `{capability}`). {instead}",
        param=param,
        code="capability_missing",
    )
