"""The table of tenants' own provider keys. Refuses a secret in the clear: only what the vault sealed is stored."""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from gateway.database.tables import Base
from gateway.database.vault import Binding, Scope, Sealed


class ProviderKeyRow(Base):
    """One provider's key of one user, team or organisation; gone with its owner.

    `owner_id` is the id of whoever it belongs to, also where `team_id` or `user_id` say it: it makes "one key
    for each owner and provider" a constraint, which columns that may be null would not.
    """

    __tablename__ = "provider_keys"
    __table_args__ = (UniqueConstraint("owner_id", "provider"),)

    id: Mapped[str] = mapped_column(String(24), primary_key=True)
    org_id: Mapped[str] = mapped_column(ForeignKey("organisations.id", ondelete="CASCADE"), index=True)
    team_id: Mapped[str | None] = mapped_column(ForeignKey("teams.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    owner_id: Mapped[str] = mapped_column(String(24))
    provider: Mapped[str] = mapped_column(String(64))
    hint: Mapped[str] = mapped_column(String(8))
    fingerprint: Mapped[str] = mapped_column(String(16))
    ciphertext: Mapped[bytes] = mapped_column(LargeBinary)
    wrapped_key: Mapped[bytes] = mapped_column(LargeBinary)
    master: Mapped[str] = mapped_column(String(16), index=True)
    models: Mapped[list[str]]
    fallback: Mapped[bool]
    disabled: Mapped[bool]
    expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    created_by: Mapped[str | None] = mapped_column(String(320))
    replaced_at: Mapped[datetime | None]
    tested_at: Mapped[datetime | None]
    proven: Mapped[bool]
    last_used_at: Mapped[datetime | None]
    last_error: Mapped[str | None] = mapped_column(String(64))
    last_error_at: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]

    @property
    def scope(self) -> Scope:
        """Whose it is."""
        return "user" if self.user_id else "team" if self.team_id else "organisation"

    @property
    def binding(self) -> Binding:
        """What the secret is tied to."""
        return Binding(
            org_id=self.org_id,
            scope=self.scope,
            owner_id=self.user_id or self.team_id or self.org_id,
            provider=self.provider,
            key_id=self.id,
        )

    @property
    def sealed(self) -> Sealed:
        """The secret as it is stored."""
        return Sealed(ciphertext=self.ciphertext, wrapped_key=self.wrapped_key, master=self.master)

    def take(self, sealed: Sealed) -> None:
        """Store a sealed secret in place of the one before."""
        self.ciphertext, self.wrapped_key, self.master = sealed.ciphertext, sealed.wrapped_key, sealed.master
