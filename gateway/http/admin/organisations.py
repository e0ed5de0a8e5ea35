"""/admin/v1/organisations: the management API's view of tenants. Refuses rules of its own: the service has them."""

from typing import Annotated

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter

from gateway.database.organisations import (
    Organisation,
    OrganisationCreate,
    OrganisationPage,
    OrganisationPatch,
    OrganisationService,
)
from gateway.database.pages import MOST_LISTED
from gateway.http.caller import Caller
from policies.roles import Permission

Reference = Annotated[str, PathParameter(description="The organisation's id or its name.")]
OPERATE = {"permission": Permission.OPERATE}
READ = {"permission": Permission.ORGANISATION_READ}
WRITE = {"permission": Permission.ORGANISATION_WRITE}


class OrganisationController(Controller):
    """Organisations, by id or by name. To a user there is only their own."""

    path = "/admin/v1/organisations"
    tags = ["Management"]  # noqa: RUF012 - Litestar reads a plain class attribute here

    @get("/", summary="Organisations, oldest first", operation_id="listOrganisations", opt=READ)
    async def list_organisations(
        self,
        organisations: NamedDependency[OrganisationService],
        caller: NamedDependency[Caller],
        limit: Annotated[int, QueryParameter(ge=1, le=MOST_LISTED, description="At most so many.")] = 50,
        after: Annotated[str | None, QueryParameter(description="An earlier page's `last_id`.")] = None,
    ) -> OrganisationPage:
        """While `has_more` is true, ask again with `after` set to `last_id`."""
        return await organisations.list(caller, limit=limit, after=after)

    @post("/", summary="Make an organisation", operation_id="createOrganisation", opt=OPERATE)
    async def create_organisation(
        self,
        organisations: NamedDependency[OrganisationService],
        caller: NamedDependency[Caller],
        data: JSONBody[OrganisationCreate],
    ) -> Organisation:
        """With its first owner, who is made too and can then make everybody else."""
        return await organisations.create(caller, data)

    @get("/{organisation:str}", summary="One organisation", operation_id="getOrganisation", opt=READ)
    async def get_organisation(
        self,
        organisations: NamedDependency[OrganisationService],
        caller: NamedDependency[Caller],
        organisation: Reference,
    ) -> Organisation:
        """With the number of its teams and users."""
        return await organisations.get(caller, organisation)

    @patch(
        "/{organisation:str}", summary="Change an organisation", operation_id="updateOrganisation", opt=WRITE
    )
    async def update_organisation(
        self,
        organisations: NamedDependency[OrganisationService],
        caller: NamedDependency[Caller],
        organisation: Reference,
        data: JSONBody[OrganisationPatch],
    ) -> Organisation:
        """What is left out stays. `tier`, `limits`, `currency` and `disabled` are the operator's to change; a
        disabled organisation's keys and users are refused within a second, everywhere."""
        return await organisations.update(caller, organisation, data)

    @delete(
        "/{organisation:str}",
        summary="Delete an organisation",
        operation_id="deleteOrganisation",
        opt=OPERATE,
    )
    async def delete_organisation(
        self,
        organisations: NamedDependency[OrganisationService],
        caller: NamedDependency[Caller],
        organisation: Reference,
        with_keys: Annotated[bool, QueryParameter(description="Delete its keys too.")] = False,
    ) -> None:
        """With its teams and users. One that still has keys is kept (409) unless `with_keys` is true. Usage
        records, the ledger and the audit log stay."""
        await organisations.delete(caller, organisation, with_keys=with_keys)
