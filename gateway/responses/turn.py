"""Turns: one request for a response as part of a conversation that is kept here.

What came before is put before its input, its answer goes out under the gateway's own id, and is kept if the client
did not say otherwise. (https://platform.openai.com/docs/guides/conversation-state)
"""

import msgspec
from msgspec import Raw

from gateway.dialects.dialect import Thread, Voice
from gateway.responses.items import continued, given_items, joined, said_items, stamped
from gateway.responses.kept_stream import KeptStream
from gateway.responses.shelf import Kept, Owner, Shelf, owner_of
from inference.ir.errors import InvalidField
from inference.wire import Tap
from policies.api_keys import Principal


class _Given(msgspec.Struct):
    input: Raw = Raw(b"[]")


class _Status(msgspec.Struct):
    status: str | None = None


_given = msgspec.json.Decoder(_Given).decode
_status = msgspec.json.Decoder(_Status).decode


class Threads:
    """Begins turns."""

    def __init__(self, shelf: Shelf, *, largest: int) -> None:
        """`largest` is how many bytes a conversation may have, as a request's body may."""
        self._shelf = shelf
        self._largest = largest

    async def begin(
        self, call_id: str, principal: Principal, body: bytes, thread: Thread
    ) -> "tuple[Turn, bytes]":
        """The turn, and the request with everything that came before.

        Raises InvalidField for a response that is not there, or is not the caller's; Unavailable.
        """
        owner = owner_of(principal)
        name = f"resp_{call_id.removeprefix('req-').replace('-', '')}"
        given = bytes(_given(body).input)
        turn = Turn(self._shelf, owner, name, given, thread)
        if thread.previous is None:
            return turn, body
        before = await self._shelf.thread(owner, thread.previous)
        if not before or before[-1].previous is not None:
            raise _not_found(thread.previous)
        turn.thread = before[0].thread
        size = sum(len(kept.given) + len(kept.response) for kept in before)
        if size + len(body) > self._largest:
            raise InvalidField(
                f"The conversation that `{thread.previous}` ends has grown beyond what a request may hold "
                f"({self._largest} bytes). Begin a new one.",
                param="previous_response_id",
                code="context_length_exceeded",
            )
        history: list[Raw] = []
        for kept in reversed(before):
            history += given_items(kept.given)
            history += said_items(kept.response)
        return turn, continued(body, history)


def _not_found(name: str) -> InvalidField:
    return InvalidField(
        f"Previous response with id '{name[:100]}' not found.",
        param="previous_response_id",
        code="previous_response_not_found",
    )


class Turn:
    """One response in the making."""

    def __init__(self, shelf: Shelf, owner: Owner, name: str, given: bytes, thread: Thread) -> None:
        self._shelf = shelf
        self._owner = owner
        self._name = name
        self._given = given
        self._previous = thread.previous
        self._keep = thread.keep and shelf.open
        self.thread = name

    def whole(self, body: bytes) -> bytes:
        """An answer in one piece as the client has it; kept from now on."""
        out = self.stamped(body)
        self.keep(out)
        return out

    def stream(self, tap: Tap, voice: Voice) -> KeptStream:
        """The same for one that comes in events."""
        return KeptStream(tap, voice, self)

    def stamped(self, response: bytes | Raw) -> bytes:
        """A response object under its id here."""
        return stamped(bytes(response), name=self._name, previous=self._previous, kept=self._keep)

    def keep(self, response: bytes) -> None:
        """Keep it, unless it failed or the client wants none of that."""
        if self._keep and _status(response).status in ("completed", "incomplete"):
            self._shelf.put(
                Kept(
                    id=self._name,
                    owner=self._owner,
                    previous=self._previous,
                    thread=self.thread,
                    given=joined(given_items(self._given)),
                    response=response,
                )
            )
