"""Users and their logins on one database, with clocks the test moves; and issuers it runs itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from gateway.access.access_tokens import AccessTokens
from gateway.access.holders import Holders
from gateway.access.issuer_keys import IssuerKeys
from gateway.access.logins import Logins, Tokens
from gateway.access.oidc_settings import Issuer
from gateway.access.origin import Origin
from gateway.access.passwords import Passwords
from gateway.access.signing_keys import SigningKeys
from gateway.access.throttle import Throttle
from gateway.access.token_reader import TokenReader
from gateway.database.audit import Audit, AuditEntry, AuditFilter
from gateway.database.sessions import Lengths, Sessions
from gateway.database.teams import TeamCreate
from gateway.database.users import User, UserCreate, UserService
from inference.transport import Transport
from policies.caller import OPERATOR
from policies.roles import Role
from tests.control_plane import Clock, Plane
from tests.identity_provider import IdentityProvider

PASSWORD = "correct horse battery"
HERE = Origin(address="192.0.2.7", request_id="req-test")


class LoginWorld:
    """One process's share. `stop` is to be called where `reader` was started."""

    def __init__(self, plane: Plane, folder: Path, *issuers: Issuer, lengths: Lengths | None = None) -> None:
        self.plane = plane
        self.clock = plane.clock
        self.ticks = Clock(5000.0)
        self.users = UserService(plane.database, plane.changes, clock=plane.clock)
        self.sessions = Sessions(plane.database, plane.changes, plane.pepper, lengths, clock=plane.clock)
        self.signing = SigningKeys(folder, {})
        self.access = AccessTokens(self.signing, issuer="us", audience="aspendos", clock=plane.clock)
        self.throttle = Throttle(plane.database, plane.pepper, clock=plane.clock)
        self.logins = Logins(
            database=plane.database,
            changes=plane.changes,
            sessions=self.sessions,
            access=self.access,
            passwords=Passwords(passes=1),
            throttle=self.throttle,
            pepper=plane.pepper,
            clock=plane.clock,
        )
        self.transport = Transport()
        self.issuers = {
            each.issuer: IssuerKeys(each, self.transport, monotonic=self.ticks) for each in issuers
        }
        self.holders = Holders(plane.database, plane.changes, self.sessions, clock=plane.clock)
        self.reader = self.another_reader()

    def another_reader(self) -> TokenReader:
        """As another process has it."""
        return TokenReader(
            self.access,
            self.issuers,
            self.holders,
            self.plane.changes,
            clock=self.clock,
            monotonic=self.ticks,
        )

    async def stop(self) -> None:
        await self.reader.stop()
        await self.transport.close()

    async def user(
        self, email: str = "ada@example.com", *, role: Role = Role.MEMBER, team: str | None = None
    ) -> User:
        """A user with PASSWORD."""
        if team is not None:
            await self.plane.teams.create(OPERATOR, TeamCreate(name=team))
        made = await self.users.create(
            OPERATOR, UserCreate(email=email, role=role, teams=() if team is None else (team,))
        )
        invitation = await self.logins.invite(OPERATOR, made.id)
        await self.logins.accept(invitation.token, PASSWORD, HERE)
        return made

    async def login(self, email: str = "ada@example.com", password: str = PASSWORD) -> Tokens:
        return await self.logins.login(email, password, HERE)

    async def audited(self, action: str) -> list[AuditEntry]:
        """Entries of the audit log, newest first."""
        page = await Audit(self.plane.database).list(OPERATOR, AuditFilter(action=action), limit=200)
        return list(page.data)


def issuer(**fields: Any) -> Issuer:
    """Settings of an issuer whose tokens nobody proves here, for users of the default organisation."""
    given = {"issuer": "https://id.example", "audience": "aspendos", "organisation": "default", **fields}
    return msgspec.convert(given, Issuer)


def claims(**more: Any) -> dict[str, Any]:
    """What such a token says, proven."""
    return {"sub": "s-1", "email": "Grace@Example.com", "name": "Grace Hopper", **more}


def trusting(provider: IdentityProvider, **fields: Any) -> Issuer:
    """Settings that trust a provider, for users of the default organisation."""
    given = {
        "issuer": provider.issuer,
        "audience": "aspendos",
        "algorithms": [provider.algorithm],
        "organisation": "default",
        **fields,
    }
    return msgspec.convert(given, Issuer)


async def refused(work: Callable[[], Any], error: type[Exception]) -> str:
    """The code of the refusal that `work` ends in. Raises AssertionError where it does not."""
    try:
        await work()
    except error as found:
        return str(getattr(found, "code", ""))
    raise AssertionError(f"no {error.__name__} was raised")
