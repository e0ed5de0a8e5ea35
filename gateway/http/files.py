"""/v1/files: files uploaded, found again, read and deleted, in OpenAI's form. For their owner alone.

An upload goes to the disk as it arrives, never whole into memory; one that breaks off leaves nothing behind.
Somebody else's file is not there: the answer is the same as for one that never was.
"""

from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Annotated, Any, Literal

from litestar import Controller, Request, delete, get, post
from litestar.di import NamedDependency
from litestar.exceptions import InternalServerException
from litestar.params import PathParameter, QueryParameter
from litestar.response import Stream
from msgspec import UNSET, Struct, UnsetType

from gateway.admission import Admission
from gateway.files.cabinet import Cabinet, Draft, File
from gateway.files.form import Form, Sink, boundary_of, read_form
from gateway.http.models import principal_of
from gateway.responses.shelf import Owner, owner_of
from inference.ir.errors import ClientGone, InvalidField

PURPOSES = ("assistants", "batch", "evals", "fine-tune", "user_data", "vision")
"""What clients may upload files for. What batches write is for `batch_output`."""

SHORTEST, LONGEST = 3600, 30 * 86400
"""Seconds after which a file may expire."""

_Id = Annotated[str, PathParameter(description="The file's id, `file-…`.")]


class FileObject(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """OpenAI's file object. Times are unix seconds."""

    id: str
    object: str
    bytes: int
    created_at: int
    filename: str
    purpose: str
    status: str
    expires_at: int | UnsetType = UNSET


class FileList(Struct, frozen=True, kw_only=True):
    """OpenAI's page of files."""

    object: str = "list"
    data: list[FileObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedFile(Struct, frozen=True, kw_only=True):
    """What OpenAI says of a file that is gone."""

    id: str
    object: str = "file"
    deleted: bool = True


class FileController(Controller):
    """Files as OpenAI's API has them."""

    path = "/v1/files"
    tags = ("OpenAI",)

    @post(
        "/", summary="Upload a file", operation_id="createFile", status_code=200, request_max_body_size=None
    )
    async def upload(
        self,
        request: Request[Any, Any, Any],
        admission: NamedDependency[Admission],
        cabinet: NamedDependency[Cabinet],
    ) -> FileObject:
        """As a multipart form: `purpose`, `file`, and `expires_after[anchor]` (`created_at`) with
        `expires_after[seconds]` (an hour to 30 days) where it is not to be kept until it is deleted."""
        owner = owner_of(await principal_of(request, admission))
        boundary = boundary_of(request.headers.get("content-type"))
        drafts: list[Draft] = []

        async def begin() -> Sink:
            draft = await cabinet.draft(owner)
            drafts.append(draft)
            return draft

        try:
            form = await read_form(_arriving(request), boundary, begin)
            purpose, lifetime = (
                _purpose(form),
                lifetime_of(
                    form.fields.get("expires_after[anchor]"), form.fields.get("expires_after[seconds]")
                ),
            )
            if form.filename is None:
                raise InvalidField("There is no part `file` in the form.", param="file", code="missing_file")
            return shown(
                await cabinet.keep(drafts[0], owner, name=form.filename, purpose=purpose, lifetime=lifetime)
            )
        finally:
            for draft in drafts:
                draft.drop()

    @get("/", summary="List files", operation_id="listFiles")
    async def list_files(
        self,
        request: Request[Any, Any, Any],
        admission: NamedDependency[Admission],
        cabinet: NamedDependency[Cabinet],
        *,
        after: Annotated[str | None, QueryParameter(description="The last file of the page before.")] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=10_000, description="Files on a page.")] = 10_000,
        order: Annotated[
            Literal["asc", "desc"], QueryParameter(description="By the time they were made.")
        ] = "desc",
        purpose: Annotated[str | None, QueryParameter(description="Only those for this purpose.")] = None,
    ) -> FileList:
        owner = await _owner(request, admission)
        files, more = await cabinet.page(
            owner, after=after, limit=limit, ascending=order == "asc", purpose=purpose
        )
        return FileList(
            data=[shown(file) for file in files],
            first_id=files[0].id if files else None,
            last_id=files[-1].id if files else None,
            has_more=more,
        )

    @get("/{file_id:str}", summary="A file", operation_id="retrieveFile")
    async def retrieve(
        self,
        request: Request[Any, Any, Any],
        admission: NamedDependency[Admission],
        cabinet: NamedDependency[Cabinet],
        file_id: _Id,
    ) -> FileObject:
        """404 for one that is not there, has expired, or is somebody else's."""
        return shown(await cabinet.find(await _owner(request, admission), file_id))

    @get("/{file_id:str}/content", summary="What is in a file", operation_id="downloadFile")
    async def content(
        self,
        request: Request[Any, Any, Any],
        admission: NamedDependency[Admission],
        cabinet: NamedDependency[Cabinet],
        file_id: _Id,
    ) -> Stream:
        """Its bytes as they were uploaded, or as a batch wrote them."""
        file = await cabinet.find(await _owner(request, admission), file_id)
        return Stream(
            await cabinet.content(file),
            media_type="application/octet-stream",
            headers={"content-length": str(file.size), "x-content-type-options": "nosniff"},
        )

    @delete("/{file_id:str}", summary="Delete a file", operation_id="deleteFile", status_code=200)
    async def remove(
        self,
        request: Request[Any, Any, Any],
        admission: NamedDependency[Admission],
        cabinet: NamedDependency[Cabinet],
        file_id: _Id,
    ) -> DeletedFile:
        """Nothing of it is left here. A batch that still reads it goes on as long as its process does."""
        await cabinet.delete(await _owner(request, admission), file_id)
        return DeletedFile(id=file_id)


def lifetime_of(anchor: str | None, seconds: str | None) -> timedelta | None:
    """How long a file is to be kept; None: until it is deleted. Raises InvalidField."""
    if anchor is None and seconds is None:
        return None
    if anchor != "created_at":
        raise InvalidField("A file expires after it was made: `created_at`.", param="expires_after[anchor]")
    if seconds is None or not seconds.isdecimal() or not SHORTEST <= int(seconds[:9]) <= LONGEST:
        raise InvalidField(
            f"A file may expire after {SHORTEST} to {LONGEST} seconds.", param="expires_after[seconds]"
        )
    return timedelta(seconds=int(seconds))


def shown(file: File) -> FileObject:
    """A file as OpenAI shows it."""
    return FileObject(
        id=file.id,
        object="file",
        bytes=file.size,
        created_at=int(file.created_at.timestamp()),
        expires_at=UNSET if file.expires_at is None else int(file.expires_at.timestamp()),
        filename=file.name,
        purpose=file.purpose,
        status="processed",
    )


def _purpose(form: Form) -> str:
    purpose = form.fields.get("purpose")
    if purpose not in PURPOSES:
        raise InvalidField(f"`purpose` must be one of {', '.join(PURPOSES)}.", param="purpose")
    return purpose


async def _arriving(request: Request[Any, Any, Any]) -> AsyncGenerator[bytes]:
    """The body as it comes. Raises ClientGone where it breaks off."""
    try:
        async for chunk in request.stream():
            yield chunk
    except InternalServerException:  # Litestar's word for a client that left
        raise ClientGone("The client closed the connection before its file was whole.") from None


async def _owner(request: Request[Any, Any, Any], admission: Admission) -> Owner:
    return owner_of(await principal_of(request, admission))
