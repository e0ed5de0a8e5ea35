"""POST /webhooks/{processor}: what payment processors tell us. Stores and answers; refuses to act before it answered.

The body is checked as the bytes that came. A forged, old or future one is a 400 that says nothing more; one whose id
is known, or whose type means nothing here, is a 200 like any other, so that the processor stops sending it.
"""

import time
from collections.abc import Mapping
from typing import Annotated, Any

import structlog
from litestar import Request, post
from litestar.di import NamedDependency
from litestar.params import PathParameter

from billing.processors.payments import Payments
from billing.processors.processor import Forged
from gateway.database.engine import away_as_unavailable
from inference.ir.errors import BadRequest, NotFound

MOST_BYTES = 1 << 20
"""Events of processors are a few kilobytes; an invoice of a hundred lines is a quarter of this."""

_log = structlog.stdlib.get_logger("webhooks")


@post(
    "/webhooks/{processor:str}",
    status_code=200,
    request_max_body_size=MOST_BYTES,
    summary="A payment processor's webhook",
    operation_id="receiveWebhook",
    tags=["Payments"],
)
async def receive_webhook(
    request: Request[Any, Any, Any],
    payments: NamedDependency[Mapping[str, Payments]],
    processor: Annotated[str, PathParameter(description="`stripe` or another configured processor.")],
) -> dict[str, bool]:
    """Signed by the processor. Anything else is refused."""
    desk = payments.get(processor)
    if desk is None:
        raise NotFound("No such payment processor is configured here.")
    body = await request.body()
    try:
        notice = desk.processor.notice(body, dict(request.headers.items()), time.time())
    except Forged as reason:
        _log.warning("a webhook was refused", processor=processor, reason=str(reason), bytes=len(body))
        raise BadRequest("This is not a valid webhook.", code="invalid_webhook") from None
    with away_as_unavailable():
        news = await desk.inbox.put(notice)
    if news and notice.subject is not None:
        desk.worker.wake()
    return {"received": True}
