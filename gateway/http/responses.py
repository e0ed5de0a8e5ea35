"""/v1/responses/{id}: stored responses read again, deleted, and what they were asked with. For their owner alone.

Somebody else's response is not there: the answer is the same as for one that never was.
"""

from typing import Annotated, Any, Literal

from litestar import Controller, Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import PathParameter, QueryParameter
from msgspec import Raw, Struct

from gateway.http.account import Callers
from gateway.http.models import principal_of
from gateway.responses.items import id_of, named_items, said_items
from gateway.responses.shelf import Kept, Owner, Shelf, owner_of
from inference.ir.errors import BadRequest, InvalidField, NotFound

_JSON = "application/json"
_Id = Annotated[str, PathParameter(description="The response's id, `resp_…`.")]


class Deleted(Struct, frozen=True, kw_only=True):
    """What OpenAI says of a response that is gone."""

    id: str
    object: str = "response"
    deleted: bool = True


class ItemList(Struct, frozen=True, kw_only=True):
    """OpenAI's page of items."""

    object: str = "list"
    data: list[Raw]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ResponseController(Controller):
    """What clients do with a response once it has been answered."""

    path = "/v1/responses"
    tags = ("OpenAI",)

    @get("/{response_id:str}", summary="A stored response", operation_id="getResponse")
    async def retrieve(
        self,
        request: Request[Any, Any, Any],
        admission: NamedDependency[Callers],
        shelf: NamedDependency[Shelf],
        response_id: _Id,
        stream: Annotated[bool | None, QueryParameter(description="Only for background responses.")] = None,
    ) -> Response[bytes]:
        """As it was answered. 404 for one that is not there, is too old, or is somebody else's."""
        if stream:
            raise InvalidField(
                "Only a response that runs in the background can be streamed again, and none does here.",
                param="stream",
                code="not_supported",
            )
        kept = await _found(shelf, await _owner(request, admission), response_id)
        return Response(kept.response, media_type=_JSON)

    @delete("/{response_id:str}", summary="Delete a stored response", status_code=200)
    async def remove(
        self,
        request: Request[Any, Any, Any],
        admission: NamedDependency[Callers],
        shelf: NamedDependency[Shelf],
        response_id: _Id,
    ) -> Deleted:
        """Nothing of it is left here. A conversation that went on from it cannot be gone on with any more."""
        if not await shelf.delete(await _owner(request, admission), response_id):
            raise _missing(response_id)
        return Deleted(id=response_id)

    @post("/{response_id:str}/cancel", summary="Cancel a response", status_code=200)
    async def cancel(
        self,
        request: Request[Any, Any, Any],
        admission: NamedDependency[Callers],
        shelf: NamedDependency[Shelf],
        response_id: _Id,
    ) -> Response[bytes]:
        """Only one that runs in the background can be cancelled, and none does here: 400, as at OpenAI."""
        await _found(shelf, await _owner(request, admission), response_id)
        raise BadRequest("Cannot cancel a synchronous response.", code="response_not_cancellable")

    @post("/compact", summary="Compact a conversation: not served", status_code=200)
    async def compact(
        self, request: Request[Any, Any, Any], admission: NamedDependency[Callers]
    ) -> Response[bytes]:
        """What OpenAI makes of a conversation here only its own models can read: 404."""
        await _owner(request, admission)
        raise NotFound(
            "Conversations are not compacted here. Ask a model for a summary at /v1/responses, and go on from that."
        )

    @get("/{response_id:str}/input_items", summary="What a stored response was asked with")
    async def input_items(
        self,
        request: Request[Any, Any, Any],
        admission: NamedDependency[Callers],
        shelf: NamedDependency[Shelf],
        response_id: _Id,
        *,
        limit: Annotated[int, QueryParameter(ge=1, le=100, description="Items on a page.")] = 20,
        order: Annotated[
            Literal["asc", "desc"], QueryParameter(description="`asc` is the order of the conversation.")
        ] = "desc",
        after: Annotated[str | None, QueryParameter(description="The last item of the page before.")] = None,
    ) -> ItemList:
        """The whole conversation up to the answer: what earlier responses were asked with and said, then its own."""
        thread = await shelf.thread(await _owner(request, admission), response_id)
        if not thread:
            raise _missing(response_id)
        items: list[Raw] = []
        for number, kept in enumerate(reversed(thread)):
            items += named_items(kept.given, kept.id)
            if number < len(thread) - 1:
                items += said_items(kept.response)
        return _page(items if order == "asc" else items[::-1], limit, after)


def _page(items: list[Raw], limit: int, after: str | None) -> ItemList:
    names = [id_of(item) for item in items]
    start = 0
    if after is not None:
        if after not in names:
            raise InvalidField(f"There is no item `{after[:100]}` in this response's input.", param="after")
        start = names.index(after) + 1
    page = slice(start, start + limit)
    found = names[page]
    return ItemList(
        data=items[page],
        first_id=found[0] if found else None,
        last_id=found[-1] if found else None,
        has_more=start + limit < len(items),
    )


async def _owner(request: Request[Any, Any, Any], admission: Callers) -> Owner:
    return owner_of(await principal_of(request, admission))


async def _found(shelf: Shelf, owner: Owner, name: str) -> Kept:
    kept = await shelf.find(owner, name)
    if kept is None:
        raise _missing(name)
    return kept


def _missing(name: str) -> NotFound:
    return NotFound(f"Response with id '{name[:100]}' not found.", code="response_not_found")
