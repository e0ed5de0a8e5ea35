"""Inspection: what a request shows is looked at before it goes out, whether it is passed on or translated.

Pictures have to be some. An address has to lead to the open internet, for whoever follows it does so from where it
stands: a server of the operator's own from inside the operator's network. For one that follows addresses elsewhere
a name is its own affair; of numbers and names that lead inside anywhere no server is told.

Fetches nothing. A name that changes its mind between this look and the server's leap (DNS rebinding), and where an
open address redirects to, only that server can see.
"""

import base64
import binascii
import time
from asyncio import timeout
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, runtime_checkable

from gateway.media.addresses import may_visit
from gateway.media.fetcher import Resolve
from gateway.media.hosts import Named, is_inside, named, plain, unfit
from gateway.media.inliner import MOST_FETCHES
from gateway.media.picture import image_type, is_other_picture
from gateway.media.shown import Shown, shown
from inference.deployment import Deployment
from inference.ir.cards import Provider
from inference.ir.errors import InvalidField

ANY = "*"
"""Among a provider's `media_hosts`: its server sees to names itself."""
_HEAD = 256 * 1024
"""Letters of base64, a multiple of four, in which a picture says what it is."""
_PATIENCE = 5.0
_KEPT = 60.0
"""Seconds for which it is known where a provider's own server stands."""
_WEB_PORT = 80
_STANDARD = str.maketrans("-_", "+/", " \t\r\n")
"""Base64 as it is read here: of either alphabet, without its line breaks."""


@runtime_checkable
class OwnServer(Protocol):
    """A wire format that only servers of the operator's own speak, wherever they stand."""

    own_server: bool


class Inspection:
    """Looks at requests; of names it asks a resolver."""

    def __init__(self, resolve: Resolve, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` tells seconds, from whenever."""
        self._resolve = resolve
        self._clock = clock
        self._own: dict[str, tuple[float, bool]] = {}

    async def check(self, body: bytes, attempts: Sequence[Deployment], *, pictures: bool = True) -> None:
        """Raises InvalidField naming what is shown, with a code: `invalid_image`, `image_too_large`,
        `invalid_media_url`, `media_url_refused`, `media_unreachable` or `too_many_media`.

        `pictures`: look at those too, which whoever reads the request otherwise may have done.
        """
        places = named_in(shown(body), pictures=pictures)
        for place in places:
            for deployment in attempts:
                if place.inside and not _opened(place.host, deployment.provider, literally=True):
                    raise _refused(place.param)
        places = [place for place in places if not place.inside]
        if not places:
            return
        asked: set[str] = set()
        for deployment in attempts:
            own: bool | None = None
            for place in places:
                if place.host in asked or (place.web and _opened(place.host, deployment.provider)):
                    continue
                own = await self._is_own(deployment) if own is None else own
                if own:
                    await self._ask(place, asked)

    async def _ask(self, place: Named, asked: set[str]) -> None:
        """Raises InvalidField for a name that leads inside."""
        if not place.web:
            raise unfit(place.param, "is no http or https address")
        if len(asked) == MOST_FETCHES:
            raise InvalidField(
                f"The request names more than {MOST_FETCHES} hosts. Send what they have as data: URLs.",
                param=place.param,
                code="too_many_media",
            )
        asked.add(place.host)
        try:
            found = await self._addresses(place.host, place.port or _WEB_PORT)
        except (OSError, UnicodeError):
            raise InvalidField(
                f"The address in `{place.param}` names a host that nobody knows. Give another, or send the bytes "
                "themselves as a data: URL.",
                param=place.param,
                code="media_unreachable",
            ) from None
        if not _open(found):
            raise _refused(place.param)

    async def _is_own(self, deployment: Deployment) -> bool:
        """Whether a server stands inside. One of which that cannot be learnt is taken to."""
        host = plain(deployment.origin.host)
        if host is None or is_inside(host) or isinstance(deployment.wire, OwnServer):
            return True
        until, own = self._own.get(host, (0.0, False))
        now = self._clock()
        if until <= now:
            try:
                own = not _open(await self._addresses(host, deployment.origin.port))
            except (OSError, UnicodeError):
                return True
            self._own[host] = (now + _KEPT, own)
        return own

    async def _addresses(self, host: str, port: int) -> Sequence[str]:
        """Raises OSError, of which TimeoutError is one."""
        async with timeout(_PATIENCE):
            return await self._resolve(host, port)


def named_in(things: Iterable[Shown], *, pictures: bool) -> list[Named]:
    """Where the addresses among these lead. Raises InvalidField for an address, or a picture, that is none."""
    found: list[Named] = []
    for thing in things:
        if thing.url is not None:
            found.append(named(thing.url, param=thing.param))
        elif thing.picture is not None and pictures:
            _check_picture(thing.picture, thing.param)
    return found


def _check_picture(given: str, param: str) -> None:
    """By its beginning, where that says enough."""
    head = _decoded(given[:_HEAD], param, cut=len(given) > _HEAD)
    if is_other_picture(head):
        return
    try:
        image_type(head, param=param)
    except InvalidField:
        if len(given) <= _HEAD:
            raise
        image_type(_decoded(given, param), param=param)


def _decoded(given: str, param: str, *, cut: bool = False) -> bytes:
    """Bytes of base64, with or without its padding, as one provider or another takes it; where it is `cut`, of the
    whole groups."""
    given = given.translate(_STANDARD)
    given = given[: len(given) // 4 * 4] if cut else given + "=" * (-len(given) % 4)
    try:
        return base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidField(f"What `{param}` holds is no base64.", param=param, code="invalid_image") from None


def _opened(host: str, provider: Provider, *, literally: bool = False) -> bool:
    """Whether the catalogue lets a provider's server be sent to a host, by that very name or by a pattern."""
    for each in provider.media_hosts:
        if each == host or (each[:2] == "*." and host.endswith(each[1:])):
            return True
        if each == ANY and not literally:
            return True
    return False


def _open(addresses: Sequence[str]) -> bool:
    return bool(addresses) and all(may_visit(address) for address in addresses)


def _refused(param: str) -> InvalidField:
    return InvalidField(
        f"The address in `{param}` leads to an address that is not of the open internet. Give another, or send the "
        "bytes themselves as a data: URL.",
        param=param,
        code="media_url_refused",
    )
