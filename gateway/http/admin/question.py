"""The query of every usage route: its parameters, said once. Refuses those nobody knows."""

from typing import Annotated, Any, Literal

from litestar import Request, Response
from litestar.di import NamedDependency, Provide
from litestar.params import Parameter, QueryParameter
from msgspec.structs import replace

from billing.reports import Freshness, UsageReports
from gateway.catalogue import LiveCatalogue
from gateway.database.engine import Database
from gateway.database.organisations import OrganisationService
from gateway.database.teams import TeamService
from gateway.database.users import UserService
from gateway.http.caller import Caller
from gateway.usage_names import Sources, known
from gateway.usage_question import Asked, Holders, UsageQuestion, understand
from inference.ir.errors import InvalidField

Text = str | None
Limit = Annotated[int | None, QueryParameter(ge=1, le=10_000, description="At most so many.")]
Cursor = Annotated[Text, QueryParameter(description="An earlier answer's next_cursor.")]
Form = Annotated[Literal["json", "csv"] | None, QueryParameter(name="format")]

_ALWAYS = frozenset(
    {
        "organisation", "team", "user", "key", "model", "provider", "tier", "feature", "tag", "status", "time_zone",
        "format",
    }
)  # fmt: skip


async def provide_question(
    *,
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    organisations: NamedDependency[OrganisationService],
    teams: NamedDependency[TeamService],
    users: NamedDependency[UserService],
    database: NamedDependency[Database],
    usage: NamedDependency[UsageReports],
    catalogue: NamedDependency[LiveCatalogue],
    organisation: Annotated[Text, Parameter(description="An organisation's id or name.")] = None,
    team: Annotated[Text, Parameter(description="A team's id or name.")] = None,
    user: Annotated[Text, Parameter(description="A user's id or e-mail address.")] = None,
    key: Annotated[Text, Parameter(description="A key's public id.")] = None,
    model: Annotated[Text, Parameter(description="The model's name in the catalogue.")] = None,
    provider: Annotated[Text, Parameter(description="The provider's name in the catalogue.")] = None,
    tier: Annotated[Text, Parameter(description="The tier's name in the catalogue.")] = None,
    feature: Annotated[Text, Parameter(description="chat, embedding, voice, ...")] = None,
    tag: Annotated[
        list[str] | None, Parameter(description="`name=value`; given again, all must fit.")
    ] = None,
    status: Annotated[Text, Parameter(description="429, 5xx, `ok` or `error`.")] = None,
    time_zone: Annotated[
        Text, Parameter(description="An IANA name. Else the organisation's, or UTC.")
    ] = None,
) -> UsageQuestion:
    """The dependency `question`. The span and the grouping are read by name: not every route has them."""
    given = {
        "organisation": organisation,
        "team": team,
        "user": user,
        "key": key,
        "model": model,
        "provider": provider,
        "tier": tier,
        "feature": feature,
        "status": status,
        **{word: request.query_params.get(word) for word in ("month", "from", "to")},
    }
    refuse_unknown(request)
    asked = Asked(
        words={word: text for word, text in given.items() if text is not None},
        tags=tag or (),
        group_by=request.query_params.get("group_by"),
        time_zone=time_zone,
    )
    holders = Holders(organisations=organisations, teams=teams, users=users)
    sources = Sources(database=database, reports=usage, catalog=catalogue.catalog)
    question = await understand(asked, caller, holders)
    return replace(question, wanted=await known(question.wanted, caller, sources))


QUESTION = {"question": Provide(provide_question)}


def refuse_unknown(request: Request[Any, Any, Any]) -> None:
    """A misspelt filter must not answer for everybody: what the route does not say it takes is refused."""
    taken = _ALWAYS | frozenset(request.route_handler.opt["query"])
    for word in request.query_params:
        if word not in taken:
            raise InvalidField(f"{word}: unknown; expected one of {', '.join(sorted(taken))}", param=word)


def wants_csv(request: Request[Any, Any, Any], form: str | None) -> bool:
    return form == "csv" or (form is None and "text/csv" in request.headers.get("accept", ""))


def csv_headers(name: str, freshness: Freshness, next_cursor: str | None = None) -> dict[str, str]:
    """What an answer in JSON says beside its rows."""
    more = {} if next_cursor is None else {"x-aspendos-next-cursor": next_cursor}
    return {
        "content-disposition": f'attachment; filename="{name}.csv"',
        "x-aspendos-fresh": "true" if freshness.fresh else "false",
        **more,
    }


def csv_answer(text: str, headers: dict[str, str]) -> Response[str]:
    return Response(text, media_type="text/csv", headers=headers)
