"""/admin/v1/budgets and /admin/v1/alert-targets: the management API's view of budgets. The services have the rules."""

from typing import Annotated

from litestar import Controller, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter

from gateway.database.alert_targets import AlertTargets
from gateway.database.budget_views import (
    AlertTargetsPut,
    AlertTargetsView,
    BudgetCreate,
    BudgetPage,
    BudgetPatch,
    BudgetStatus,
    BudgetView,
    TestFired,
    WebhookSecret,
)
from gateway.database.budgets import BudgetService
from gateway.database.pages import MOST_LISTED
from gateway.http.caller import Caller
from policies.roles import Permission

Reference = Annotated[str, PathParameter(description="The budget's id, `bud_…`.")]
Organisation = Annotated[
    str | None,
    QueryParameter(description="An organisation's id or name; a user's own may be left out."),
]

READ = {"permission": Permission.BUDGETS_READ}
WRITE = {"permission": Permission.BUDGETS_WRITE}


class BudgetController(Controller):
    """Budgets, by id."""

    path = "/admin/v1/budgets"
    tags = ["Management"]  # noqa: RUF012 - Litestar reads a plain class attribute here

    @get("/", summary="Budgets, oldest first", operation_id="listBudgets", opt=READ)
    async def list_budgets(
        self,
        budgets: NamedDependency[BudgetService],
        caller: NamedDependency[Caller],
        *,
        organisation: Organisation = None,
        limit: Annotated[int, QueryParameter(ge=1, le=MOST_LISTED, description="At most so many.")] = 50,
        after: Annotated[str | None, QueryParameter(description="An earlier page's `last_id`.")] = None,
    ) -> BudgetPage:
        """While `has_more` is true, ask again with `after` set to `last_id`."""
        return await budgets.list(caller, organisation=organisation, limit=limit, after=after)

    @post("/", summary="Make a budget", operation_id="createBudget", opt=WRITE)
    async def create_budget(
        self,
        budgets: NamedDependency[BudgetService],
        caller: NamedDependency[Caller],
        data: JSONBody[BudgetCreate],
    ) -> BudgetView:
        """Counts from the next request on, with what its subject has spent in the period so far."""
        return await budgets.create(data, caller)

    @get("/{budget:str}", summary="One budget", operation_id="getBudget", opt=READ)
    async def get_budget(
        self, budgets: NamedDependency[BudgetService], caller: NamedDependency[Caller], budget: Reference
    ) -> BudgetView:
        """The budget as it is set; `/status` tells how it stands."""
        return await budgets.get(budget, caller)

    @patch("/{budget:str}", summary="Change a budget", operation_id="updateBudget", opt=WRITE)
    async def update_budget(
        self,
        budgets: NamedDependency[BudgetService],
        caller: NamedDependency[Caller],
        budget: Reference,
        data: JSONBody[BudgetPatch],
    ) -> BudgetView:
        """What is left out stays. With another amount, thresholds that are reached are told anew."""
        return await budgets.update(budget, data, caller)

    @delete("/{budget:str}", summary="Delete a budget", operation_id="deleteBudget", opt=WRITE)
    async def delete_budget(
        self, budgets: NamedDependency[BudgetService], caller: NamedDependency[Caller], budget: Reference
    ) -> None:
        """Usage records stay; alerts already on their way are still delivered."""
        await budgets.delete(budget, caller)

    @get("/{budget:str}/status", summary="How a budget stands", operation_id="getBudgetStatus", opt=READ)
    async def budget_status(
        self, budgets: NamedDependency[BudgetService], caller: NamedDependency[Caller], budget: Reference
    ) -> BudgetStatus:
        """Spent, held and left in the period that is running, a forecast to its end, and its alerts."""
        return await budgets.status(budget, caller)

    @post(
        "/{budget:str}/test",
        summary="Send a test alert",
        operation_id="testBudget",
        opt=WRITE,
        status_code=202,
    )
    async def test_budget(
        self, budgets: NamedDependency[BudgetService], caller: NamedDependency[Caller], budget: Reference
    ) -> TestFired:
        """It goes wherever real alerts of this budget go; `/status` shows how it fares."""
        return await budgets.test(budget, caller)


class AlertTargetController(Controller):
    """Where an organisation's alerts go when a budget names nobody."""

    path = "/admin/v1/alert-targets"
    tags = ["Management"]  # noqa: RUF012 - Litestar reads a plain class attribute here

    @get("/", summary="Where alerts go", operation_id="getAlertTargets", opt=READ)
    async def get_targets(
        self,
        alert_targets: NamedDependency[AlertTargets],
        caller: NamedDependency[Caller],
        organisation: Organisation = None,
    ) -> AlertTargetsView:
        """An organisation's webhook and mail addresses."""
        return await alert_targets.get(organisation, caller)

    @put("/", summary="Say where alerts go", operation_id="putAlertTargets", opt=WRITE)
    async def put_targets(
        self,
        alert_targets: NamedDependency[AlertTargets],
        caller: NamedDependency[Caller],
        data: JSONBody[AlertTargetsPut],
        organisation: Organisation = None,
    ) -> AlertTargetsView:
        """Replaces both. A webhook set by anybody but the operator must not lie in a private network."""
        return await alert_targets.put(organisation, data, caller)

    @post("/secret", summary="Make or replace the webhook secret", operation_id="newWebhookSecret", opt=WRITE)
    async def new_secret(
        self,
        alert_targets: NamedDependency[AlertTargets],
        caller: NamedDependency[Caller],
        organisation: Organisation = None,
    ) -> WebhookSecret:
        """Shown this once. The one before goes on signing, beside the new one, for a day."""
        return await alert_targets.new_secret(organisation, caller)
