"""/admin/v1/credits: accounts, what is in them, and what was done with it. Refuses rules of its own."""

from typing import Annotated, Any, Literal

from litestar import Controller, Request, Response, get, post, put
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import JSONBody, Parameter, PathParameter, QueryParameter
from msgspec import Struct

from billing.ledger.grants import Posting
from billing.ledger.history import Page
from billing.ledger.sheet import statement_lines, transaction_lines
from billing.ledger.statement import Statement
from gateway.credit_desk import (
    MOST_LISTED,
    AccountPage,
    AccountView,
    Amount,
    CreditDesk,
    GrantOrder,
    TakeBackOrder,
)
from gateway.http.caller import Caller
from gateway.reconciler import Check, Reconciler
from policies.roles import Permission

Owner = Annotated[str, PathParameter(description="Id of an organisation, team or user; or a name.")]
Limit = Annotated[int, QueryParameter(ge=1, le=MOST_LISTED, description="At most so many.")]
Form = Annotated[Literal["json", "csv"] | None, QueryParameter(name="format")]

READ = {"permission": Permission.CREDITS_READ}
WRITE = {"permission": Permission.CREDITS_WRITE}
OPERATE = {"permission": Permission.OPERATE}


class AccountOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`floor_nano`: how far down the account may be spent, nano-USD. 0: prepaid; below it: a credit line."""

    floor_nano: int = 0


class CreditController(Controller):
    """Credit accounts. Amounts are whole nano-USD (`*_nano`) or dollars as decimal text (`*_usd`)."""

    path = "/admin/v1/credits"
    tags = ("Management",)

    @get("/", summary="Accounts, by id", operation_id="listAccounts", opt=READ)
    async def list_accounts(
        self,
        credits: NamedDependency[CreditDesk],
        caller: NamedDependency[Caller],
        limit: Limit = 50,
        after: Annotated[str | None, QueryParameter(description="An earlier page's `last_id`.")] = None,
    ) -> AccountPage:
        """Of the caller's organisation, its teams and its users; the operator's are all."""
        return await credits.list(caller, limit=limit, after=after)

    @get("/{owner:str}", summary="One account", operation_id="getAccount", opt=READ)
    async def get_account(
        self, credits: NamedDependency[CreditDesk], caller: NamedDependency[Caller], owner: Owner
    ) -> AccountView:
        """What is available, held and owed, and the grants in the order in which they burn."""
        return await credits.show(caller, owner)

    @put("/{owner:str}", summary="Open an account, or set its floor", operation_id="openAccount", opt=WRITE)
    async def open_account(
        self,
        credits: NamedDependency[CreditDesk],
        caller: NamedDependency[Caller],
        owner: Owner,
        data: JSONBody[AccountOrder],
    ) -> AccountView:
        """From now on the account pays for its owner's requests: the nearest of user, team and organisation does."""
        return await credits.open(caller, owner, data.floor_nano)

    @post("/{owner:str}/grants", summary="Give credit", operation_id="grantCredit", opt=WRITE)
    async def grant(
        self,
        credits: NamedDependency[CreditDesk],
        caller: NamedDependency[Caller],
        owner: Owner,
        data: JSONBody[GrantOrder],
    ) -> Posting:
        """Once per reason and `reference`, for ever. What the account owes is paid with it first."""
        return await credits.grant(caller, owner, data)

    @post("/{owner:str}/take-backs", summary="Take credit back", operation_id="takeBackCredit", opt=WRITE)
    async def take_back(
        self,
        credits: NamedDependency[CreditDesk],
        caller: NamedDependency[Caller],
        owner: Owner,
        data: JSONBody[TakeBackOrder],
    ) -> Posting:
        """What is not there any more becomes debt, which the next grant pays."""
        return await credits.take_back(caller, owner, data)

    @post("/{owner:str}/adjustments", summary="Correct a balance", operation_id="adjustCredit", opt=WRITE)
    async def adjust(
        self,
        credits: NamedDependency[CreditDesk],
        caller: NamedDependency[Caller],
        owner: Owner,
        data: JSONBody[Amount],
    ) -> Posting:
        """By a signed amount, with a `memo` that the account's owner reads."""
        return await credits.adjust(caller, owner, data)

    @get(
        "/{owner:str}/transactions",
        summary="What changed a balance, newest first",
        operation_id="listTransactions",
        opt=READ,
        responses={200: ResponseSpec(Page, description="As JSON; or CSV when asked for.")},
    )
    async def transactions(
        self,
        request: Request[Any, Any, Any],
        credits: NamedDependency[CreditDesk],
        caller: NamedDependency[Caller],
        owner: Owner,
        *,
        limit: Limit = 50,
        after: Annotated[str | None, QueryParameter(description="An earlier page's `next_cursor`.")] = None,
        form: Form = None,
    ) -> Response[Any]:
        """Every transaction with the balance before and after it. While there is a `next_cursor`, there are more."""
        page = await credits.transactions(caller, owner, limit=limit, after=after)
        if _wants_csv(request, form):
            more = {"x-aspendos-next-cursor": page.next_cursor} if page.next_cursor is not None else {}
            return _csv(transaction_lines(page.transactions), "transactions.csv", more)
        return Response(page)

    @get(
        "/{owner:str}/statements/{month:str}",
        summary="A month's statement",
        operation_id="getStatement",
        opt=READ,
        responses={200: ResponseSpec(Statement, description="As JSON; or CSV when asked for.")},
    )
    async def statement(
        self,
        request: Request[Any, Any, Any],
        credits: NamedDependency[CreditDesk],
        caller: NamedDependency[Caller],
        owner: Owner,
        month: Annotated[str, PathParameter(description="Such as 2026-02; in UTC.")],
        *,
        form: Form = None,
    ) -> Response[Any]:
        """What the month began with, what came and went, usage by model, and what was left."""
        statement = await credits.statement(caller, owner, month)
        if _wants_csv(request, form):
            return _csv(statement_lines(statement), f"statement-{statement.month}.csv", {})
        return Response(statement)

    @post("/check", summary="Prove the books", operation_id="checkCredits", status_code=200, opt=OPERATE)
    async def check(
        self,
        reconciler: NamedDependency[Reconciler],
        repair: Annotated[bool, Parameter(description="Mend hot balances that differ.")] = True,
    ) -> Check:
        """The ledger entry by entry, and every hot balance against it. The ledger itself is never changed."""
        return await reconciler.check(repair=repair)


def _wants_csv(request: Request[Any, Any, Any], form: str | None) -> bool:
    return form == "csv" or (form is None and "text/csv" in request.headers.get("accept", ""))


def _csv(text: str, name: str, headers: dict[str, str]) -> Response[str]:
    return Response(
        text,
        media_type="text/csv",
        headers={"content-disposition": f'attachment; filename="{name}"', **headers},
    )
