"""/admin/v1/audit: who changed what. Reads only; nothing here or anywhere changes an entry."""

from typing import Annotated

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from gateway.database.audit import MOST_LISTED, Audit, AuditFilter, AuditPage
from gateway.database.validity import moment
from gateway.http.caller import Caller
from policies.roles import Permission

Text = str | None


class AuditController(Controller):
    """The audit log."""

    path = "/admin/v1/audit"
    tags = ["Management"]  # noqa: RUF012 - Litestar reads a plain class attribute here

    @get(
        "/",
        summary="Who changed what, newest first",
        operation_id="listAudit",
        opt={"permission": Permission.AUDIT_READ},
    )
    async def list_audit(
        self,
        audit: NamedDependency[Audit],
        caller: NamedDependency[Caller],
        *,
        organisation: Annotated[Text, QueryParameter(description="Only of this organisation's id.")] = None,
        actor: Annotated[Text, QueryParameter(description="Only by this user's id, or this name.")] = None,
        action: Annotated[
            Text, QueryParameter(description="Only this action; `user.*` takes all of them on users.")
        ] = None,
        subject: Annotated[Text, QueryParameter(description="Only acts on the thing with this id.")] = None,
        since: Annotated[Text, QueryParameter(name="from", description="ISO 8601, UTC by default.")] = None,
        until: Annotated[Text, QueryParameter(name="to", description="ISO 8601; itself excluded.")] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=MOST_LISTED, description="At most so many.")] = 50,
        after: Annotated[
            int | None, QueryParameter(ge=0, le=2**63 - 1, description="An earlier page's `last_id`.")
        ] = None,
    ) -> AuditPage:
        """Entries cannot be changed or deleted. `before` and `after` hold what changed, never a secret. While
        `has_more` is true, ask again with `after` set to `last_id`."""
        wanted = AuditFilter(
            organisation=organisation,
            actor=actor,
            action=action,
            subject=subject,
            since=None if since is None else moment(since, "from"),
            until=None if until is None else moment(until, "to"),
        )
        return await audit.list(caller, wanted, limit=limit, after=after)
