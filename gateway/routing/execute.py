"""Execute: carry out a plan, going to the next target while nothing has been answered yet."""

from collections.abc import Sequence

from gateway.call import Call
from inference.client import Answer, Ask, ModelClient
from inference.deployment import Deployment
from inference.ir.errors import (
    AspendosError,
    ClientError,
    ProviderKeyRefused,
    ProviderKeyUnreadable,
    UpstreamTimeout,
    UpstreamUnreachable,
)

_CONNECT = "upstream_timeout_connect"


async def execute(client: ModelClient, attempts: Sequence[Deployment], ask: Ask, call: Call) -> Answer:
    """The first target that can be reached answers. Raises the last target's error.

    Only a connection that failed, or a tenant's own key that is of no use, moves on to the next target; any
    other answer, even a refusal, is an answer. A refused key is not tried again at another address.
    """
    left = attempts
    while True:
        deployment, left = left[0], left[1:]
        call.attempted(deployment)
        try:
            return await client.attempt(deployment, ask)
        except ClientError:  # it could not even be asked: the request does not fit this target
            raise
        except AspendosError as error:
            call.attempt_failed(deployment, error)
            if isinstance(error, ProviderKeyRefused | ProviderKeyUnreadable):
                left = [other for other in left if other.credential is not deployment.credential]
            elif not _without_answer(error):
                raise
            if not left:
                raise


def _without_answer(error: AspendosError) -> bool:
    """Whether the target could not be reached, or was lost before it said anything."""
    return isinstance(error, UpstreamUnreachable) or (
        isinstance(error, UpstreamTimeout) and error.code == _CONNECT
    )
