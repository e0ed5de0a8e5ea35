"""Attempt: what is remembered of a target that was asked and did not answer. Nothing in it is anybody's text."""

from msgspec import Struct

from inference.deployment import Deployment
from inference.ir.errors import AspendosError, UpstreamError
from inference.ir.quota import Quota


class Attempt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Goes into the log as it is.

    `status` is the target's own, None where it said nothing; `retry_after` in seconds, `quota` its limits as it told
    them with its refusal. `byok`: it was asked with the tenant's own key, so they are the tenant's limits.
    """

    provider: str
    deployment: str
    code: str
    status: int | None = None
    retry_after: float | None = None
    quota: Quota | None = None
    byok: bool = False


def failed(deployment: Deployment, error: AspendosError) -> Attempt:
    """The record of an attempt that ended in an error."""
    upstream = isinstance(error, UpstreamError)
    return Attempt(
        provider=deployment.provider.name,
        deployment=deployment.name,
        code=error.code,
        status=error.answered if upstream else None,
        retry_after=error.retry_after,
        quota=error.quota if upstream else None,
        byok=deployment.credential is not None,
    )
