"""Claims: what a trusted issuer's token says of its holder, in our words. Pure; refuses to look anybody up.

A claim that is there and says nothing we know is refused: the issuer's defaults are for tokens that do not say, never
for tokens that say something else.
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from gateway.access.oidc_settings import Issuer
from gateway.database import validity
from inference.ir.errors import Forbidden, InvalidField
from policies import tokens
from policies.roles import Role


class Said(Struct, frozen=True, kw_only=True):
    """What an issuer's token says of its holder, in our words; None where it says nothing."""

    subject: str
    organisation: str
    team: str | None
    tier: str | None
    role: Role | None
    email: str
    name: str


def said(issuer: Issuer, claims: Mapping[str, Any]) -> Said:
    """Read the claims as the issuer's settings tell. Raises Forbidden where no organisation is said, and for a
    claim of organisation, team, tier or role that is there without saying anything we know.

    Of several roles the most powerful one that is translated counts.
    """
    names = issuer.claims
    subject = str(claims["sub"])
    organisation = _meant(claims, names.organisation, issuer.organisations, "organisation")
    organisation = issuer.organisation if organisation is None else organisation
    if organisation is None:
        raise Forbidden(
            f"The bearer token does not say (in `{names.organisation}`) to which organisation its holder belongs.",
            code="no_organisation",
        )
    team = _meant(claims, names.team, issuer.teams, "team")
    tier = _meant(claims, names.tier, issuer.tiers, "tier")
    email = _address(claims, issuer)
    return Said(
        subject=subject,
        organisation=organisation,
        team=issuer.team if team is None else team,
        tier=issuer.tier if tier is None else tier,
        role=_role(issuer, claims),
        email=email,
        name=_printable(next(iter(tokens.text_at(claims, names.name)), "")) or email.partition("@")[0],
    )


def login_of(issuer: Issuer, claims: Mapping[str, Any]) -> str:
    """A name for the login a token belongs to: by its session (`sid`), else by when its holder logged in
    (`auth_time`), else by itself."""
    of = next(
        (f"{name}:{claims[name]}" for name in ("sid", "auth_time", "jti", "iat") if claims.get(name)), ""
    )
    whole = msgspec.json.encode([issuer.issuer, str(claims["sub"]), of])
    return f"oidc_{hashlib.sha256(whole).hexdigest()[:32]}"


def _address(claims: Mapping[str, Any], issuer: Issuer) -> str:
    """The e-mail address claimed; for one missing or no use, one made of the subject, which reaches nobody."""
    with suppress(InvalidField):
        return validity.email(next(iter(tokens.text_at(claims, issuer.claims.email)), ""))
    host = urlsplit(issuer.issuer).hostname or "issuer"
    return f"sub-{hashlib.sha256(str(claims['sub']).encode()).hexdigest()[:16]}@{host}"[:254].lower()


def _printable(name: str) -> str:
    return "".join(letter for letter in name if letter.isprintable()).strip()[:64]


def _role(issuer: Issuer, claims: Mapping[str, Any]) -> Role | None:
    """The most powerful role said; the default where none is, None where tokens have no say in it."""
    name = issuer.claims.role
    if name is None:
        return None
    words = _words(claims, name, "role")
    given = {issuer.roles[word] for word in words if word in issuer.roles}
    if words and not given:
        raise _unknown(name, words, "role")
    return next((one for one in Role if one in given), issuer.default_role)


def _meant(
    claims: Mapping[str, Any], name: str | None, translated: Mapping[str, str], what: str
) -> str | None:
    """The first word of a claim that is translated; without a translation table, the first word itself.

    None where the token does not say. Raises Forbidden where it says nothing known.
    """
    if name is None:
        return None
    words = _words(claims, name, what)
    if not words or not translated:
        return next(iter(words), None)
    known = next((translated[word] for word in words if word in translated), None)
    if known is None:
        raise _unknown(name, words, what)
    return known


def _words(claims: Mapping[str, Any], name: str, what: str) -> tuple[str, ...]:
    """The words of a claim; none where it is not there, is null or an empty list. Raises Forbidden for others."""
    try:
        found = tokens.found_at(claims, name)
    except ValueError as error:
        raise Forbidden(f"The bearer token's claim of the {what}: {error}.", code="claim_unusable") from error
    if found is None:
        return ()
    words = cast("list[object]", found) if isinstance(found, list) else [found]
    texts = tuple(word for word in words if isinstance(word, str) and word.strip())
    if len(texts) < len(words):
        raise Forbidden(
            f"The bearer token's claim `{name}`, which says the {what}, is {_shown(words)}; a text, or a list of "
            "texts, was expected.",
            code="claim_unusable",
        )
    return texts


def _unknown(name: str, words: tuple[str, ...], what: str) -> Forbidden:
    said = ", ".join(_shown(word) for word in words[:5])
    return Forbidden(
        f"The bearer token's {what}, {said} (`{name}`), is not known "
        f"here. The operator translates the word under `{what}s` in ASPENDOS_OIDC_FILE.",
        code=f"{what}_unknown",
    )


def _shown(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 64 else text[:64] + "…"
