"""Intake: batches as their owners make, find, list and cancel them. Refuses to run any."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from gateway.batches.batch import WINDOW, WINDOW_SECONDS, Batch
from gateway.batches.endpoints import ENDPOINTS
from gateway.batches.register import Register
from gateway.files.cabinet import Cabinet
from gateway.responses.shelf import Owner, owner_of
from inference.ir.errors import Forbidden, InvalidField, UnknownKey
from policies.api_keys import Principal

_MOST_NOTES = 16
_LONGEST_NOTE, _LONGEST_WORD = 64, 512


class Batches:
    """`holder` knows keys by their id; `nudge` says that there is something to do."""

    def __init__(
        self,
        register: Register,
        cabinet: Cabinet,
        *,
        holder: Callable[[str], Awaitable[Principal]],
        nudge: Callable[[], None],
        now: Callable[[], datetime],
        new_name: Callable[[], str],
    ) -> None:
        self._register = register
        self._cabinet = cabinet
        self._holder = holder
        self._nudge = nudge
        self._now = now
        self._new_name = new_name

    async def make(
        self,
        principal: Principal,
        *,
        input_file_id: str,
        endpoint: str,
        window: str,
        notes: dict[str, str],
        kept_seconds: int | None,
    ) -> Batch:
        """A batch that will be run as this caller. Raises InvalidField, NotFound, Forbidden or Unavailable."""
        if endpoint not in ENDPOINTS:
            raise InvalidField(f"`endpoint` must be one of {', '.join(ENDPOINTS)}.", param="endpoint")
        if window != WINDOW:
            raise InvalidField(f"`completion_window` must be `{WINDOW}`.", param="completion_window")
        _check(notes)
        try:
            await self._holder(principal.key_id)
        except UnknownKey:
            raise Forbidden(
                "A batch outlives an access token: make it with an API key (ask-...).", code="api_key_needed"
            ) from None
        owner = owner_of(principal)
        file = await self._cabinet.find(owner, input_file_id)
        if file.purpose != "batch":
            raise InvalidField(
                f"The file's purpose is `{file.purpose}`: upload it with the purpose `batch`.",
                param="input_file_id",
            )
        now = self._now()
        batch = Batch(
            id=f"batch_{self._new_name()}",
            owner=owner,
            key_id=principal.key_id,
            endpoint=endpoint,
            input_file_id=file.id,
            notes=notes,
            kept_seconds=kept_seconds,
            created_at=now,
            expires_at=now + timedelta(seconds=WINDOW_SECONDS),
        )
        await self._register.add(batch)
        self._nudge()
        return batch

    async def find(self, owner: Owner, batch_id: str) -> Batch:
        """As `Register.find`."""
        return await self._register.find(owner, batch_id)

    async def page(self, owner: Owner, *, after: str | None, limit: int) -> tuple[list[Batch], bool]:
        """As `Register.page`."""
        return await self._register.page(owner, after=after, limit=limit)

    async def cancel(self, owner: Owner, batch_id: str) -> Batch:
        """As `Register.cancel`."""
        batch = await self._register.cancel(owner, batch_id)
        self._nudge()
        return batch


def _check(notes: dict[str, str]) -> None:
    if len(notes) > _MOST_NOTES or any(
        len(name) > _LONGEST_NOTE or len(word) > _LONGEST_WORD for name, word in notes.items()
    ):
        raise InvalidField(
            f"`metadata` may have {_MOST_NOTES} entries, of {_LONGEST_NOTE} characters for a name and "
            f"{_LONGEST_WORD} for what it says.",
            param="metadata",
        )
