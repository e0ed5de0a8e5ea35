"""Whose spending a new budget counts: finds the subject and its organisation. Refuses to reach past the caller's."""

from typing import NoReturn

from msgspec import Struct
from sqlalchemy import Row, Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.budgets.budget import Subject, SubjectKind, tag
from gateway.database.budget_views import SubjectWanted
from gateway.database.tables import KeyRow, OrganisationRow, TeamRow, UserRow
from inference.ir.errors import InvalidField, NotFound
from policies.caller import Caller


class Found(Struct, frozen=True, kw_only=True):
    """A subject, its organisation, and the time zone that organisation lives in."""

    subject: Subject
    org_id: str
    time_zone: str


async def find_subject(
    session: AsyncSession, wanted: SubjectWanted, organisation: str | None, caller: Caller
) -> Found:
    """Raises InvalidField, or NotFound for what is not there or is another organisation's."""
    kind = wanted.kind
    if kind is SubjectKind.ORGANISATION:
        row = await find_organisation(session, wanted.id or organisation, caller)
        return Found(subject=Subject(kind=kind, id=row.id), org_id=row.id, time_zone=row.time_zone)
    if not wanted.id:
        raise InvalidField(f"subject.id is missing: which {kind} is meant?", param="subject.id")
    if kind is SubjectKind.TAG:
        tag(wanted.id)
        row = await find_organisation(session, organisation, caller)
        return Found(subject=Subject(kind=kind, id=wanted.id), org_id=row.id, time_zone=row.time_zone)
    query = _query(kind, wanted.id)
    if not caller.is_operator:
        query = query.where(OrganisationRow.id == caller.org_id)
    if organisation is not None:
        named = (await find_organisation(session, organisation, caller)).id
        query = query.where(OrganisationRow.id == named)
    rows = (await session.execute(query.limit(2))).all()
    if len(rows) > 1:
        raise InvalidField(
            f"Several organisations have a {kind} {wanted.id[:64]!r}: give its id, or name the organisation.",
            param="subject.id",
        )
    if not rows:
        _missing(kind, wanted.id, "subject.id")
    subject, org_id, time_zone = rows[0]
    return Found(subject=Subject(kind=kind, id=subject), org_id=org_id, time_zone=time_zone)


async def find_organisation(session: AsyncSession, named: str | None, caller: Caller) -> Row[str, str]:
    """Id and time zone of the organisation of this id or name; of the caller's own for None.

    Raises NotFound; InvalidField where the operator names none.
    """
    reference = named if named is not None or caller.is_operator else caller.org_id
    if reference is None:
        raise InvalidField("Say which organisation is meant, by its id or its name.", param="organisation")
    query = select(OrganisationRow.id, OrganisationRow.time_zone).where(
        or_(OrganisationRow.id == reference, OrganisationRow.name == reference)
    )
    if not caller.is_operator:
        query = query.where(OrganisationRow.id == caller.org_id)
    rows = (await session.execute(query)).all()
    if not rows:
        _missing(SubjectKind.ORGANISATION, reference, "organisation")
    return next((row for row in rows if row.id == reference), rows[0])


def _query(kind: SubjectKind, named: str) -> Select[str, str, str]:
    zone = OrganisationRow.time_zone
    if kind is SubjectKind.TEAM:
        return (
            select(TeamRow.id, OrganisationRow.id, zone)
            .join(OrganisationRow, OrganisationRow.id == TeamRow.org_id)
            .where(or_(TeamRow.id == named, TeamRow.name == named))
        )
    if kind is SubjectKind.USER:
        return (
            select(UserRow.id, OrganisationRow.id, zone)
            .join(OrganisationRow, OrganisationRow.id == UserRow.org_id)
            .where(or_(UserRow.id == named, UserRow.email == named.lower()))
        )
    return (
        select(KeyRow.id, OrganisationRow.id, zone)
        .join(TeamRow, TeamRow.id == KeyRow.team_id)
        .join(OrganisationRow, OrganisationRow.id == TeamRow.org_id)
        .where(KeyRow.id == named)
    )


def _missing(kind: SubjectKind, named: str, param: str) -> NoReturn:
    raise NotFound(f"There is no {kind} {named[:64]!r}.", code=f"{kind}_not_found", param=param)
