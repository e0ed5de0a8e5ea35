"""Origin: where a request came from, for the throttle and the audit log. Refuses to be believed: it proves nobody."""

from msgspec import Struct


class Origin(Struct, frozen=True, kw_only=True):
    """The client's address, and the id the request is answered and logged under."""

    address: str | None = None
    request_id: str | None = None


NOWHERE = Origin()
"""Of what no request is known."""
