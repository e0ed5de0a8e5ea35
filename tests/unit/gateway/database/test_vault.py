"""The vault: what was sealed opens for its owner alone, under the keys at hand, and not when it was touched."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.database.master_keys import FILE, VARIABLE, MasterKeys
from gateway.database.vault import Binding, Sealed, Vault
from inference.ir.errors import ProviderKeyUnreadable

SECRET = "sk-tenant-canary-51c0ffee"
BINDING = Binding(org_id="org_1", scope="team", owner_id="team_1", provider="openai", key_id="pk_1")
ONE, TWO = bytes(range(32)), bytes(range(1, 33))


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(MasterKeys(tmp_path, {}))


def test_what_was_sealed_opens(vault: Vault) -> None:
    sealed = vault.seal(SECRET, BINDING)
    assert vault.open(sealed, BINDING) == SECRET
    assert SECRET.encode() not in msgspec.json.encode(sealed)
    assert SECRET.encode() not in sealed.ciphertext


def test_the_same_secret_never_seals_the_same(vault: Vault) -> None:
    first, second = vault.seal(SECRET, BINDING), vault.seal(SECRET, BINDING)
    assert first.ciphertext != second.ciphertext
    assert first.wrapped_key != second.wrapped_key
    crossed = msgspec.structs.replace(first, wrapped_key=second.wrapped_key)
    with pytest.raises(ProviderKeyUnreadable):
        vault.open(crossed, BINDING)


@pytest.mark.parametrize(
    "change",
    [
        {"org_id": "org_2"},
        {"scope": "user"},
        {"owner_id": "team_2"},
        {"provider": "openrouter"},
        {"key_id": "pk_2"},
        # The same letters, cut elsewhere: what is authenticated must not run together.
        {"org_id": "org_1team", "scope": "", "owner_id": "team_1"},
    ],
)
@pytest.mark.parametrize("act", ["open", "rewrap"])
def test_a_row_copied_elsewhere_does_not_open(vault: Vault, change: dict[str, Any], act: str) -> None:
    sealed = vault.seal(SECRET, BINDING)
    with pytest.raises(ProviderKeyUnreadable, match="moved"):
        getattr(vault, act)(sealed, msgspec.structs.replace(BINDING, **change))


@pytest.mark.parametrize("field", ["ciphertext", "wrapped_key"])
def test_every_byte_counts(vault: Vault, field: str) -> None:
    sealed = vault.seal(SECRET, BINDING)
    whole: bytes = getattr(sealed, field)
    for place in range(len(whole)):
        touched = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        with pytest.raises(ProviderKeyUnreadable):
            vault.open(msgspec.structs.replace(sealed, **{field: touched}), BINDING)
    for short in (b"", whole[:1], whole[:13], whole[:-1]):
        with pytest.raises(ProviderKeyUnreadable):
            vault.open(msgspec.structs.replace(sealed, **{field: short}), BINDING)


def test_a_master_key_that_is_not_there_is_named(vault: Vault, tmp_path: Path) -> None:
    sealed = vault.seal(SECRET, BINDING)
    elsewhere = Vault(MasterKeys(tmp_path / "elsewhere", {VARIABLE: TWO.hex()}))
    with pytest.raises(ProviderKeyUnreadable, match=sealed.master):
        elsewhere.open(sealed, BINDING)


def test_a_row_that_names_another_master_key_does_not_open(tmp_path: Path) -> None:
    vault = Vault(MasterKeys(tmp_path, {VARIABLE: f"{TWO.hex()},{ONE.hex()}"}))
    sealed = vault.seal(SECRET, BINDING)
    other = MasterKeys(tmp_path, {VARIABLE: ONE.hex()}).ensure()
    with pytest.raises(ProviderKeyUnreadable):
        vault.open(msgspec.structs.replace(sealed, master=other.id), BINDING)


def test_rewrapping_leaves_the_ciphertext_and_frees_the_old_master_key(tmp_path: Path) -> None:
    vault = Vault(MasterKeys(tmp_path, {}))
    sealed = vault.seal(SECRET, BINDING)
    new = vault.masters.add()
    moved = vault.rewrap(sealed, BINDING)
    assert (moved.ciphertext, moved.master) == (sealed.ciphertext, new.id)
    assert vault.open(sealed, BINDING) == vault.open(moved, BINDING) == SECRET
    vault.masters.forget_all_but(new.id)
    fresh = Vault(MasterKeys(tmp_path, {}))
    assert fresh.open(moved, BINDING) == SECRET
    with pytest.raises(ProviderKeyUnreadable):
        fresh.open(sealed, BINDING)


def test_errors_and_representations_hold_no_secret(vault: Vault) -> None:
    sealed = vault.seal(SECRET, BINDING)
    master = vault.masters.ensure()
    with pytest.raises(ProviderKeyUnreadable) as refused:
        vault.open(Sealed(ciphertext=b"", wrapped_key=sealed.wrapped_key, master=sealed.master), BINDING)
    for text in (str(refused.value), repr(refused.value), repr(sealed), repr(vault)):
        assert SECRET not in text
        assert master.key.hex() not in text
        assert repr(master.key)[2:-1] not in text


def test_the_master_key_file_holds_no_secret(vault: Vault, tmp_path: Path) -> None:
    vault.seal(SECRET, BINDING)
    assert SECRET not in (tmp_path / FILE).read_text()
