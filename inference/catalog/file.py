"""The shape of config/models.yaml as Structs: what may be written where, not yet what it means.

The reader checks files against these types and the editor's JSON schema is generated from them, so a field is
added here and nowhere else.
"""

from typing import Literal

from msgspec import UNSET, Struct

from inference.catalog.model_entry import ModelEntry
from inference.catalog.provider_entry import ProviderEntry
from inference.catalog.tier_entry import TierEntry
from inference.catalog.words import LaterMapping, ModelName, ProviderName, TierName


class CatalogFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The one file an operator edits: providers, models, prices, tiers."""

    version: Literal[1]
    providers: dict[ProviderName, ProviderEntry]
    models: dict[ModelName, ModelEntry]
    tiers: dict[TierName, TierEntry] = {}
    routers: LaterMapping = UNSET
    cache: LaterMapping = UNSET
