"""Cache salt: the word by which a model server tells one tenant's prompts from another's. Says nothing of who it is."""

from functools import lru_cache

from gateway.database.tables import DEFAULT_ORG
from policies.api_keys import Pepper, Principal

_REMEMBERED = 4096
"""Tenants whose salts are kept ready, some 150 bytes each."""


class CacheSalt:
    """Gives a tenant's salt: the same for ever and on every machine with the same pepper, and for nobody else.

    A tenant is an organisation; where there is only the one every gateway begins with, its teams are.
    """

    __slots__ = ("_of", "_pepper")

    def __init__(self, pepper: Pepper) -> None:
        self._pepper = pepper
        self._of = lru_cache(maxsize=_REMEMBERED)(self._made)

    def __call__(self, principal: Principal) -> str:
        """128 bits of HMAC-SHA256 of the tenant's id, as 32 hexadecimal digits (RFC 2104)."""
        org = principal.org_id
        return self._of(principal.team_id if org is None or org == DEFAULT_ORG else org)

    def _made(self, tenant: str) -> str:
        return self._pepper.digest(f"prompt cache of {tenant}")[:16].hex()
