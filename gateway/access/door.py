"""The door: every object of `gateway.access`, built once from the settings and joined."""

from collections.abc import Mapping
from pathlib import Path

from gateway.access.access_tokens import AccessTokens
from gateway.access.holders import Holders
from gateway.access.issuer_keys import IssuerKeys
from gateway.access.logins import Logins
from gateway.access.oidc_settings import load_issuers
from gateway.access.passwords import Passwords
from gateway.access.signing_keys import SigningKeys
from gateway.access.throttle import Throttle
from gateway.access.token_reader import TokenReader
from gateway.database.changes import Changes
from gateway.database.engine import Database
from gateway.database.sessions import Lengths, Sessions
from inference.transport import Transport
from policies.api_keys import Pepper

AUDIENCE = "aspendos"


class Door:
    """`tokens` reads bearer tokens, `logins` makes them, `access` signs ours."""

    def __init__(
        self,
        *,
        database: Database,
        changes: Changes,
        pepper: Pepper,
        transport: Transport,
        environ: Mapping[str, str],
        data_dir: Path,
        issuer: str = "aspendos",
        access_lifetime: float = 900.0,
        refresh_lifetime: float = 7 * 86400.0,
        oidc_file: Path | None = None,
    ) -> None:
        """Reads the issuers' file; opens nothing. Raises InvalidField for mistakes in it or in a key."""
        self.keys = SigningKeys(data_dir, environ)
        self.access = AccessTokens(self.keys, issuer=issuer, audience=AUDIENCE, lifetime=access_lifetime)
        sessions = Sessions(database, changes, pepper, Lengths(refresh=refresh_lifetime))
        self.logins = Logins(
            database=database,
            changes=changes,
            sessions=sessions,
            access=self.access,
            passwords=Passwords(),
            throttle=Throttle(database, pepper),
            pepper=pepper,
        )
        issuers = load_issuers(oidc_file, issuer)
        self.tokens = TokenReader(
            self.access,
            {one.issuer: IssuerKeys(one, transport) for one in issuers},
            Holders(database, changes, sessions),
            changes,
        )
