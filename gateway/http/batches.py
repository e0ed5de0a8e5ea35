"""/v1/batches: batches made, watched, listed and cancelled, in OpenAI's form. For their owner alone."""

from datetime import datetime
from typing import Annotated, Any

from litestar import Controller, Request, get, post
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import JSONBody, PathParameter, QueryParameter
from msgspec import Meta, Struct

from gateway.admission import Admission
from gateway.batches.batch import WINDOW, Batch
from gateway.batches.intake import Batches
from gateway.http.files import LONGEST, SHORTEST
from gateway.http.models import principal_of
from gateway.responses.shelf import Owner, owner_of
from inference.ir.errors import InvalidField

_Id = Annotated[str, PathParameter(description="The batch's id, `batch_…`.")]


class ExpiresAfter(Struct, frozen=True, kw_only=True):
    """How long the files of results are kept, from when they are made. Seconds."""

    anchor: str
    seconds: Annotated[int, Meta(ge=SHORTEST, le=LONGEST)]


class NewBatch(Struct, frozen=True, kw_only=True):
    """What OpenAI's API asks for a batch."""

    input_file_id: str
    endpoint: str
    completion_window: str
    metadata: dict[str, str] | None = None
    output_expires_after: ExpiresAfter | None = None


class RequestCounts(Struct, frozen=True, kw_only=True):
    """Lines: all of them, those answered well, those that were not."""

    total: int
    completed: int
    failed: int


class BatchError(Struct, frozen=True, kw_only=True):
    """Why a batch failed as a whole."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


class BatchErrors(Struct, frozen=True, kw_only=True):
    """OpenAI's list of them."""

    object: str = "list"
    data: list[BatchError]


class BatchObject(Struct, frozen=True, kw_only=True):
    """OpenAI's batch object. Times are unix seconds."""

    id: str
    object: str = "batch"
    endpoint: str
    errors: BatchErrors | None
    input_file_id: str
    completion_window: str
    status: str
    output_file_id: str | None
    error_file_id: str | None
    created_at: int
    in_progress_at: int | None
    expires_at: int
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: RequestCounts
    metadata: dict[str, str] | None


class BatchList(Struct, frozen=True, kw_only=True):
    """OpenAI's page of batches."""

    object: str = "list"
    data: list[BatchObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


async def key_guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Litestar's guard: who has no key is told so before anything of a body is read. Raises Unauthenticated."""
    await principal_of(connection, connection.app.state.admission)


class BatchController(Controller):
    """Batches as OpenAI's API has them."""

    path = "/v1/batches"
    tags = ("OpenAI",)
    guards = (key_guard,)

    @post("/", summary="Make a batch", operation_id="createBatch", status_code=200)
    async def create(
        self,
        request: Request[Any, Any, Any],
        admission: NamedDependency[Admission],
        batches: NamedDependency[Batches],
        data: JSONBody[NewBatch],
    ) -> BatchObject:
        """Its lines are run in the background, within a day, as the key that made it."""
        principal = await principal_of(request, admission)
        after = data.output_expires_after
        if after is not None and after.anchor != "created_at":
            raise InvalidField(
                "A file expires after it was made: `created_at`.", param="output_expires_after.anchor"
            )
        batch = await batches.make(
            principal,
            input_file_id=data.input_file_id,
            endpoint=data.endpoint,
            window=data.completion_window,
            notes=data.metadata or {},
            kept_seconds=None if after is None else after.seconds,
        )
        return shown(batch)

    @get("/", summary="List batches", operation_id="listBatches")
    async def list_batches(
        self,
        request: Request[Any, Any, Any],
        admission: NamedDependency[Admission],
        batches: NamedDependency[Batches],
        *,
        after: Annotated[str | None, QueryParameter(description="The last batch of the page before.")] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=100, description="Batches on a page.")] = 20,
    ) -> BatchList:
        """The newest first."""
        found, more = await batches.page(await _owner(request, admission), after=after, limit=limit)
        return BatchList(
            data=[shown(batch) for batch in found],
            first_id=found[0].id if found else None,
            last_id=found[-1].id if found else None,
            has_more=more,
        )

    @get("/{batch_id:str}", summary="A batch", operation_id="retrieveBatch")
    async def retrieve(
        self,
        request: Request[Any, Any, Any],
        admission: NamedDependency[Admission],
        batches: NamedDependency[Batches],
        batch_id: _Id,
    ) -> BatchObject:
        """How it stands. 404 for one that is not there, or is somebody else's."""
        return shown(await batches.find(await _owner(request, admission), batch_id))

    @post("/{batch_id:str}/cancel", summary="Cancel a batch", operation_id="cancelBatch", status_code=200)
    async def cancel(
        self,
        request: Request[Any, Any, Any],
        admission: NamedDependency[Admission],
        batches: NamedDependency[Batches],
        batch_id: _Id,
    ) -> BatchObject:
        """No further line is begun; those under way get their results. 409 for one that is over."""
        return shown(await batches.cancel(await _owner(request, admission), batch_id))


def shown(batch: Batch) -> BatchObject:
    """A batch as OpenAI shows it."""
    errors = (
        None if batch.errors is None else BatchErrors(data=[BatchError(**error) for error in batch.errors])
    )
    counts = RequestCounts(total=batch.total, completed=batch.completed, failed=batch.failed)
    return BatchObject(
        id=batch.id,
        endpoint=batch.endpoint,
        errors=errors,
        input_file_id=batch.input_file_id,
        completion_window=WINDOW,
        status=str(batch.status),
        output_file_id=batch.output_file_id,
        error_file_id=batch.error_file_id,
        request_counts=counts,
        metadata=batch.notes or None,
        in_progress_at=_seconds(batch.in_progress_at),
        finalizing_at=_seconds(batch.finalizing_at),
        completed_at=_seconds(batch.completed_at),
        failed_at=_seconds(batch.failed_at),
        expired_at=_seconds(batch.expired_at),
        cancelling_at=_seconds(batch.cancelling_at),
        cancelled_at=_seconds(batch.cancelled_at),
        created_at=int(batch.created_at.timestamp()),
        expires_at=int(batch.expires_at.timestamp()),
    )


def _seconds(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())


async def _owner(request: Request[Any, Any, Any], admission: Admission) -> Owner:
    return owner_of(await principal_of(request, admission))
