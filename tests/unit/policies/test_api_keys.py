"""API keys: form, proof and rules."""

import hashlib
import hmac
import re
import secrets
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from inference.ir.errors import DisabledKey, ExpiredKey, UnknownKey
from policies import api_keys
from policies.api_keys import (
    KEY_LENGTH,
    Credential,
    NewKey,
    Pepper,
    Principal,
    claimed_id,
    display,
    new_key,
    public_id_of,
    verify,
)

PEPPER = Pepper(b"pepper")


def fixed(size: int) -> bytes:
    return bytes(range(size))


def credential_of(key: NewKey, **changes: object) -> Credential:
    principal = Principal(key_id=key.public_id, key_name="ci", team_id="team_1", team_name="acme")
    values: dict[str, object] = {"principal": principal, "digest": PEPPER.digest(key.secret), **changes}
    return Credential(**values)  # pyright: ignore[reportArgumentType]  # the test names fields by keyword


def test_a_key_has_the_promised_form_and_reads_back() -> None:
    key = new_key(secrets.token_bytes)
    assert re.fullmatch(r"ask-[0-9A-Za-z]{12}-[0-9A-Za-z]{46}", key.token)
    assert len(key.token) == KEY_LENGTH
    assert public_id_of(key.token) == claimed_id(key.token) == key.public_id
    assert key.token == f"ask-{key.public_id}-{key.secret}"


def test_keys_come_from_the_randomness_given_and_nothing_else() -> None:
    assert new_key(fixed).token == new_key(fixed).token
    assert new_key(secrets.token_bytes).token != new_key(secrets.token_bytes).token


def test_a_rotated_key_keeps_its_id() -> None:
    key = new_key(secrets.token_bytes)
    again = new_key(secrets.token_bytes, key.public_id)
    assert again.public_id == key.public_id
    assert again.secret != key.secret


@given(st.binary(max_size=100), st.text(max_size=80))
def test_the_digest_is_hmac_sha256(pepper: bytes, secret: str) -> None:
    message = secret.encode("utf-8", "surrogatepass")
    assert Pepper(pepper).digest(secret) == hmac.digest(pepper, message, hashlib.sha256)


@given(st.text(max_size=80))
def test_no_text_but_a_key_is_taken_for_one(text: str) -> None:
    with pytest.raises(UnknownKey):
        public_id_of(text)
    with pytest.raises(UnknownKey):
        public_id_of("ask-" + text)


@given(st.integers(4, KEY_LENGTH - 1), st.characters())
def test_every_single_mistyped_character_is_noticed(position: int, character: str) -> None:
    token = new_key(fixed).token
    wrong = token[:position] + character + token[position + 1 :]
    if wrong != token:
        with pytest.raises(UnknownKey):
            public_id_of(wrong)


def test_the_right_secret_gives_its_principal() -> None:
    key = new_key(secrets.token_bytes)
    credential = credential_of(key)
    assert verify(credential, key.token, 0.0, PEPPER) is credential.principal


def test_another_secret_or_another_pepper_is_unknown() -> None:
    key = new_key(secrets.token_bytes)
    with pytest.raises(UnknownKey):
        verify(credential_of(key), new_key(secrets.token_bytes, key.public_id).token, 0.0, PEPPER)
    with pytest.raises(UnknownKey):
        verify(credential_of(key), key.token, 0.0, Pepper(b"another"))


def test_expiry_is_exact_and_says_when() -> None:
    key = new_key(secrets.token_bytes)
    credential = credential_of(key, expires_at=1_700_000_000.0)
    assert verify(credential, key.token, 1_699_999_999.9, PEPPER)
    with pytest.raises(ExpiredKey, match=r"expired at 2023-11-14T22:13:20Z.*aspendos keys update"):
        verify(credential, key.token, 1_700_000_000.0, PEPPER)


def test_disabled_says_whether_key_or_team() -> None:
    key = new_key(secrets.token_bytes)
    with pytest.raises(DisabledKey, match=r"API key ask-.*is disabled"):
        verify(credential_of(key, disabled=True), key.token, 0.0, PEPPER)
    with pytest.raises(DisabledKey, match="The team 'acme'"):
        verify(credential_of(key, team_disabled=True), key.token, 0.0, PEPPER)
    spaced = credential_of(key, team_disabled=True)
    spaced = replace(spaced, principal=replace(spaced.principal, team_name="acme labs"))
    with pytest.raises(DisabledKey, match="`aspendos teams update 'acme labs' --enable`"):
        verify(spaced, key.token, 0.0, PEPPER)


def test_only_the_holder_of_the_secret_learns_that_a_key_is_disabled() -> None:
    key = new_key(secrets.token_bytes)
    stranger = new_key(secrets.token_bytes, key.public_id)
    with pytest.raises(UnknownKey):
        verify(credential_of(key, disabled=True, expires_at=-inf), stranger.token, 0.0, PEPPER)


def test_both_secrets_work_while_a_rotation_overlaps() -> None:
    old = new_key(secrets.token_bytes)
    new = new_key(secrets.token_bytes, old.public_id)
    credential = credential_of(new, previous_digest=PEPPER.digest(old.secret), previous_until=100.0)
    assert verify(credential, old.token, 99.0, PEPPER)
    assert verify(credential, new.token, 99.0, PEPPER)
    assert verify(credential, new.token, 101.0, PEPPER)
    with pytest.raises(ExpiredKey, match="was rotated"):
        verify(credential, old.token, 100.0, PEPPER)


def test_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return left == right

    monkeypatch.setattr(api_keys.hmac, "compare_digest", compare)
    old, key = new_key(secrets.token_bytes), new_key(secrets.token_bytes)
    credential = credential_of(key, previous_digest=PEPPER.digest(old.secret))
    verify(credential, key.token, 0.0, PEPPER)
    with pytest.raises(UnknownKey):
        verify(credential, new_key(secrets.token_bytes, key.public_id).token, 0.0, PEPPER)
    assert [right for _, right in compared] == [
        credential.digest,
        credential.digest,
        credential.previous_digest,
    ]


def test_no_secret_in_representations_or_messages() -> None:
    key = new_key(secrets.token_bytes)
    credential = credential_of(key, disabled=True, expires_at=0.0)
    shown = [repr(key), str(key), repr(credential), display(key.public_id)]
    for token in (
        key.token,
        key.token[:-1],
        key.token + "x",
        key.token[:-1] + "!",
        key.token.lower(),
        key.secret,
    ):
        with pytest.raises((UnknownKey, DisabledKey)) as caught:
            verify(credential, token, 1.0, PEPPER)
        shown.append(caught.value.message)
    assert not any(key.secret[:8] in text or key.secret[:8].lower() in text for text in shown)
