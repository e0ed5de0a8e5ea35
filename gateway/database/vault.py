"""The vault: secrets encrypted so that a row is worth nothing anywhere but where it was written.

Envelope encryption with AES-256-GCM (NIST SP 800-38D): each secret has a random data key of its own, and a
master key wraps that. Both layers authenticate whose secret it is (organisation, scope, owner, provider, id),
so a row copied to another tenant or provider does not open. Refuses to store anything, and to say a secret.
"""

import os
from typing import Literal

import msgspec
from msgspec import Struct

from gateway.database.master_keys import MasterKeys
from inference.ir.errors import ProviderKeyUnreadable
from policies.api_keys import Entropy

Scope = Literal["organisation", "team", "user"]

_FORMAT = b"\x01"
_NONCE = 12
_DATA_KEY = 32


class Binding(Struct, frozen=True, kw_only=True):
    """Whose secret it is and for what: everything a sealed secret is tied to."""

    org_id: str
    scope: Scope
    owner_id: str
    provider: str
    key_id: str


class Sealed(Struct, frozen=True, kw_only=True):
    """A secret as it may be stored. Both parts: one byte of format, 12 of nonce, then ciphertext and tag."""

    ciphertext: bytes
    wrapped_key: bytes
    master: str
    """The id of the master key that wraps."""


class Vault:
    """Seals and opens with the master keys at hand."""

    def __init__(self, masters: MasterKeys, *, entropy: Entropy = os.urandom) -> None:
        self.masters = masters
        self._entropy = entropy

    def seal(self, secret: str, binding: Binding) -> Sealed:
        """Encrypt under a fresh data key, wrapped by the newest master key (made now if there is none)."""
        data_key = self._entropy(_DATA_KEY)
        ciphertext = self._encrypt(data_key, secret.encode(), _told("secret", binding))
        return self._wrapped(data_key, ciphertext, binding)

    def open(self, sealed: Sealed, binding: Binding) -> str:
        """The secret. Raises ProviderKeyUnreadable: no such master key, or not what was written for `binding`."""
        data_key = self._data_key(sealed, binding)
        return _decrypt(data_key, sealed.ciphertext, _told("secret", binding)).decode()

    def rewrap(self, sealed: Sealed, binding: Binding) -> Sealed:
        """The same ciphertext, its data key wrapped by the newest master key. Raises ProviderKeyUnreadable.

        The secret itself is never decrypted.
        """
        return self._wrapped(self._data_key(sealed, binding), sealed.ciphertext, binding)

    def _wrapped(self, data_key: bytes, ciphertext: bytes, binding: Binding) -> Sealed:
        master = self.masters.ensure()
        wrapped = self._encrypt(master.key, data_key, _told("data key", binding, master.id))
        return Sealed(ciphertext=ciphertext, wrapped_key=wrapped, master=master.id)

    def _data_key(self, sealed: Sealed, binding: Binding) -> bytes:
        master = self.masters.find(sealed.master)
        return _decrypt(master.key, sealed.wrapped_key, _told("data key", binding, master.id))

    def _encrypt(self, key: bytes, plain: bytes, told: bytes) -> bytes:
        # Imported here and below: OpenSSL's bindings take a while, and most installations hold no secrets.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = self._entropy(_NONCE)
        return _FORMAT + nonce + AESGCM(key).encrypt(nonce, plain, told)


def _decrypt(key: bytes, sealed: bytes, told: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if sealed[:1] != _FORMAT:
        raise _damaged("was written in a format this version does not know")
    start = len(_FORMAT) + _NONCE
    try:
        return AESGCM(key).decrypt(sealed[len(_FORMAT) : start], sealed[start:], told)
    except (InvalidTag, ValueError):
        raise _damaged("is not what was written for its owner: the row was changed, or moved") from None


def _told(purpose: str, binding: Binding, *more: str) -> bytes:
    """What is authenticated beside the ciphertext. A JSON list: no two different lists read the same."""
    whose = (binding.org_id, binding.scope, binding.owner_id, binding.provider, binding.key_id)
    return msgspec.json.encode(["aspendos provider key", purpose, *whose, *more])


def _damaged(what: str) -> ProviderKeyUnreadable:
    return ProviderKeyUnreadable(
        f"The stored provider key {what}. It is of no use any more: delete it and store the key anew."
    )
