"""Passwords: hashed with Argon2id, checked alike for those who exist and those who do not."""

import asyncio

import pytest

from gateway.access.passwords import Passwords
from inference.ir.errors import InvalidField, Unavailable


async def test_a_password_is_checked_against_its_hash() -> None:
    passwords = Passwords()
    kept = await passwords.hash("correct horse battery")
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert "horse" not in kept
    assert len(kept) <= 255
    assert await passwords.verify("correct horse battery", kept)
    assert not await passwords.verify("correct horse batterz", kept)
    assert not await passwords.verify("", kept)
    assert await passwords.hash("correct horse battery") != kept, "salted"


async def test_somebody_without_password_is_checked_just_as_long_and_refused() -> None:
    salts: list[int] = []

    def entropy(size: int) -> bytes:
        salts.append(size)
        return bytes(range(size))

    passwords = Passwords(entropy=entropy)
    assert not await passwords.verify("whatever it is", None)
    assert salts, "a hash of nobody's password was made to compare with"
    # Not even the password that hash was made of opens anything.
    assert not await passwords.verify(bytes(range(16)).hex(), None)


async def test_old_costs_still_check() -> None:
    kept = await Passwords(passes=1).hash("correct horse battery")
    assert await Passwords(passes=3).verify("correct horse battery", kept)


async def test_a_password_beyond_the_longest_is_not_cut_to_fit() -> None:
    passwords = Passwords(passes=1)
    kept = await passwords.hash("ab12" * 64)
    assert await passwords.verify("ab12" * 64, kept)
    assert not await passwords.verify("ab12" * 64 + "x", kept)


async def test_a_flood_is_turned_away_and_the_rest_served() -> None:
    passwords = Passwords(passes=1)
    kept = await passwords.hash("correct horse battery")
    answers = await asyncio.gather(
        *(passwords.verify("correct horse battery", kept) for _ in range(130)), return_exceptions=True
    )
    assert answers.count(True) == 100
    assert sum(isinstance(answer, Unavailable) for answer in answers) == 30
    assert await passwords.verify("correct horse battery", kept)


@pytest.mark.parametrize("password", ["", "short", "a" * 300, "aaaaaaaaaaaaaaaa", "abcabcabcabcabc"])
async def test_an_unfit_password_is_refused_without_repeating_it(password: str) -> None:
    with pytest.raises(InvalidField) as caught:
        await Passwords().hash(password)
    assert not password or password not in caught.value.message


async def test_any_text_can_be_a_password() -> None:
    passwords = Passwords(passes=1)
    for password in ("ñandú 🎈 \x00 tab\t", "lone surrogate \ud800"):
        assert await passwords.verify(password, await passwords.hash(password))
