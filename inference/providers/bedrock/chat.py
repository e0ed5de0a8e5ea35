"""Conversations with Bedrock: by Converse, but for what a maker's own format says better. Pure."""

from inference.ir.content import Family
from inference.providers.bedrock.claude import Claude, CountedClaude
from inference.providers.bedrock.converse import Converse
from inference.providers.bedrock.naming import Maker, counted_as, maker


def made_by(model: str, family: str | None) -> Maker:
    """Who made a model: as the catalogue says, else by its name."""
    return Maker.CLAUDE if family == Family.ANTHROPIC else maker(model)


class BedrockChat(Converse):
    """Every model's, and of each its own."""

    def of(self, model: str, family: str | None = None) -> Converse:
        """The format for one model."""
        found = made_by(model, family)
        if found is not Maker.CLAUDE:
            return Converse(found)
        return CountedClaude() if counted_as(model) is not None else Claude()
