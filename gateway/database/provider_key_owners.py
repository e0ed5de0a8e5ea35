"""Whose a provider key is or shall be, and whose keys a caller may touch. Refuses to reach beyond that."""

from msgspec import Struct
from sqlalchemy import Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.database.provider_key_rows import ProviderKeyRow
from gateway.database.provider_key_views import ProviderKeyCreate
from gateway.database.tables import OrganisationRow, TeamRow, UserRow
from gateway.database.vault import Scope
from inference.ir.errors import Forbidden, InvalidField, NotFound
from policies.caller import Caller


class Owner(Struct, frozen=True, kw_only=True):
    """A user, team or organisation."""

    org_id: str
    scope: Scope
    id: str


class Reach(Struct, frozen=True, kw_only=True):
    """How far a caller may reach: the operator everywhere, others in their organisation, or, where `own`, no
    further than to what belongs to themselves."""

    caller: Caller
    own: bool = False

    @property
    def org_id(self) -> str | None:
        """The one organisation that exists for the caller; None for the operator, for whom all do."""
        return None if self.caller.is_operator else self.caller.org_id or ""

    @property
    def user_id(self) -> str | None:
        """The one user whose keys exist for the caller, where `own`."""
        return (self.caller.user_id or "") if self.own else None

    def within(self, query: Select[ProviderKeyRow]) -> Select[ProviderKeyRow]:
        """The query, narrowed to what may be touched."""
        if self.org_id is not None:
            query = query.where(ProviderKeyRow.org_id == self.org_id)
        if self.user_id is not None:
            query = query.where(ProviderKeyRow.user_id == self.user_id)
        return query


async def find_owner(session: AsyncSession, wanted: ProviderKeyCreate, reach: Reach) -> Owner:
    """Whose a new key shall be. Raises InvalidField, NotFound or Forbidden."""
    named = [part for part in (wanted.organisation, wanted.team, wanted.user) if part is not None]
    if len(named) > 1:
        raise InvalidField(
            "Name one of `user`, `team` and `organisation`, not several.", param="organisation"
        )
    if reach.user_id is not None:
        if named:
            raise Forbidden("You may store keys for yourself alone: name no owner.")
        return await _user(session, reach.user_id, reach)
    if wanted.user is not None:
        return await _user(session, wanted.user, reach)
    if wanted.team is not None:
        return await _team(session, wanted.team, reach)
    if wanted.organisation is None and reach.org_id is None:
        raise InvalidField("Say whose key it is: `user`, `team` or `organisation`.", param="organisation")
    return await _organisation(session, wanted.organisation or reach.org_id or "", reach)


async def _user(session: AsyncSession, named: str, reach: Reach) -> Owner:
    query = select(UserRow.id, UserRow.org_id).where(UserRow.id == named)
    if reach.org_id is not None:
        query = query.where(UserRow.org_id == reach.org_id)
    found = (await session.execute(query)).one_or_none()
    if found is None:
        raise NotFound(f"There is no user of the id {named[:64]!r}.", code="user_not_found", param="user")
    return Owner(org_id=found.org_id, scope="user", id=found.id)


async def _team(session: AsyncSession, named: str, reach: Reach) -> Owner:
    query = select(TeamRow.id, TeamRow.org_id).where(or_(TeamRow.id == named, TeamRow.name == named))
    if reach.org_id is not None:
        query = query.where(TeamRow.org_id == reach.org_id)
    found = (await session.execute(query.limit(2))).all()
    if len(found) > 1:
        raise InvalidField(
            f"Several organisations have a team {named[:64]!r}: give its id instead.", param="team"
        )
    if not found:
        raise NotFound(f"There is no team {named[:64]!r}.", code="team_not_found", param="team")
    return Owner(org_id=found[0].org_id, scope="team", id=found[0].id)


async def _organisation(session: AsyncSession, named: str, reach: Reach) -> Owner:
    query = select(OrganisationRow.id).where(or_(OrganisationRow.id == named, OrganisationRow.name == named))
    if reach.org_id is not None:
        query = query.where(OrganisationRow.id == reach.org_id)
    found = (await session.execute(query)).scalar_one_or_none()
    if found is None:
        raise NotFound(
            f"There is no organisation {named[:64]!r}.", code="organisation_not_found", param="organisation"
        )
    return Owner(org_id=found, scope="organisation", id=found)
