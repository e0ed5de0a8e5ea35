"""Need: what a request asks of a model beyond text in and text out. Pure; refuses to judge who has it."""

from msgspec import Struct


class Need(Struct, frozen=True, kw_only=True):
    """A `capability` by the catalogue's word for it, and `param`, the path in the client's request that asks for it.

    `native`: only of models that are given the client's own words; a translation has others that do.
    """

    capability: str
    param: str
    native: bool = False
