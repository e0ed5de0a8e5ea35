"""The one error tree. Every failure a client can see is one of these; the class says whose fault it is.

    AspendosError
    ├── ClientError                  the caller can mend it
    │   ├── BadRequest          400  InvalidJSON, InvalidField
    │   ├── Unauthenticated     401  MissingKey, UnknownKey, ExpiredKey, DisabledKey
    │   ├── PaymentRequired     402  the credit or budget does not suffice
    │   ├── Forbidden           403  ModelNotAllowed
    │   ├── NotFound            404  ModelNotFound
    │   ├── MethodNotAllowed    405
    │   ├── BodyTimeout         408
    │   ├── Conflict            409
    │   ├── BodyTooLarge        413
    │   ├── UnsupportedMedia    415
    │   ├── CatalogueRefused    422
    │   ├── RateLimited         429  a limit of ours: requests, tokens or requests at a time
    │   ├── HeadersTooLarge     431
    │   └── ClientGone          499  never sent, only logged
    ├── UpstreamError                the target's fault, or the operator's account with it
    │   ├── UpstreamRefused     4xx  the target's own 400, 404, 409, 413, 422, kept
    │   ├── UpstreamAuth        502  the target refused the operator's key (401, 402, 403)
    │   ├── UpstreamRateLimited 429
    │   ├── UpstreamFailed      502  the target's 5xx (503 and 529 are 503, 504 stays 504), a model it lacks
    │   ├── UpstreamUnreachable 502  refused, reset, no such host, TLS
    │   ├── UpstreamTimeout     504  phase: connect, first_byte, idle or total
    │   ├── UpstreamGarbled     502  not HTTP, not JSON, cut short
    │   └── ProviderKeyRefused  403  the target refused the tenant's own key (401, 403)
    │       ├── ProviderKeyUnpaid   402
    │       └── ProviderKeyLimited  429
    └── ServiceError                 ours
        ├── Unavailable         503  a dependency we need is away
        │   └── ProviderKeyUnreadable  the tenant's own key cannot be decrypted here
        └── Internal            500

`type` and `code` are OpenAI's words where OpenAI has one, because its SDKs branch on them
(https://platform.openai.com/docs/guides/error-codes).
"""

from typing import ClassVar

from inference.ir.quota import Quota


class AspendosError(Exception):
    """A failure that has a status, a stable code and a message fit for the client's eyes."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    default_code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
        status: int | None = None,
    ) -> None:
        """`retry_after` is in seconds; `status` overrides the class's where the upstream's own is kept."""
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.param = param
        self.retry_after = retry_after
        self.http_status = status or self.status
        self.headers: tuple[tuple[bytes, bytes], ...] = ()
        """What the answer says beside the error: limits and what is left of them."""


class ClientError(AspendosError):
    status = 400
    type = "invalid_request_error"
    default_code = "invalid_request"


class BadRequest(ClientError):
    pass


class InvalidJSON(BadRequest):
    default_code = "invalid_json"


class InvalidField(BadRequest):
    default_code = "invalid_value"


class Unauthenticated(ClientError):
    status = 401
    type = "authentication_error"
    default_code = "invalid_api_key"


class MissingKey(Unauthenticated):
    default_code = "missing_api_key"


class UnknownKey(Unauthenticated):
    default_code = "invalid_api_key"


class ExpiredKey(Unauthenticated):
    default_code = "expired_api_key"


class DisabledKey(Unauthenticated):
    default_code = "disabled_api_key"


class PaymentRequired(ClientError):
    """The credit left, or a budget, does not cover what the request may cost."""

    status = 402
    type = "insufficient_quota"
    default_code = "insufficient_credits"


class Forbidden(ClientError):
    status = 403
    type = "permission_error"
    default_code = "forbidden"


class ModelNotAllowed(Forbidden):
    default_code = "model_not_allowed"


class NotFound(ClientError):
    status = 404
    default_code = "not_found"


class ModelNotFound(NotFound):
    default_code = "model_not_found"


class MethodNotAllowed(ClientError):
    """`allow` lists the methods that would be taken, for the header of that name (RFC 9110 §10.2.1)."""

    status = 405
    default_code = "method_not_allowed"

    def __init__(self, message: str, *, allow: str | None = None) -> None:
        super().__init__(message)
        if allow is not None:
            self.headers = ((b"allow", allow.encode()),)


class BodyTimeout(ClientError):
    status = 408
    default_code = "request_timeout"


class Conflict(ClientError):
    status = 409
    default_code = "conflict"


class BodyTooLarge(ClientError):
    status = 413
    default_code = "request_too_large"


class UnsupportedMedia(ClientError):
    status = 415
    default_code = "unsupported_media_type"


class CatalogueRefused(ClientError):
    """The catalogue file has mistakes; the message names each with its line."""

    status = 422
    default_code = "config_invalid"


class RateLimited(ClientError):
    """A limit of the caller's key, user, team, organisation or tier is reached; `retry_after` says till when."""

    status = 429
    type = "rate_limit_error"
    default_code = "rate_limit_exceeded"


class HeadersTooLarge(ClientError):
    status = 431
    default_code = "headers_too_large"


class ClientGone(ClientError):
    """The client closed its connection; nothing can be sent, the call is only metered and logged."""

    status = 499
    default_code = "client_closed_request"


class UpstreamError(AspendosError):
    """`answered` is the status the target itself gave, None where it gave none; `quota` what it said of its limits."""

    status = 502
    type = "upstream_error"
    default_code = "upstream_error"
    answered: int | None = None
    quota: Quota | None = None


class UpstreamRefused(UpstreamError):
    status = 400
    type = "invalid_request_error"
    default_code = "upstream_refused"


class UpstreamAuth(UpstreamError):
    default_code = "upstream_auth"


class UpstreamRateLimited(UpstreamError):
    status = 429
    type = "rate_limit_error"
    default_code = "upstream_rate_limited"


class UpstreamFailed(UpstreamError):
    default_code = "upstream_failed"


class UpstreamUnreachable(UpstreamError):
    default_code = "upstream_unreachable"


class UpstreamTimeout(UpstreamError):
    status = 504
    type = "timeout_error"
    default_code = "upstream_timeout"


class UpstreamGarbled(UpstreamError):
    default_code = "upstream_garbled"


class ProviderKeyRefused(UpstreamError):
    """The provider refused a tenant's own key. Never the operator's fault, and never counted against its key."""

    status = 403
    type = "permission_error"
    default_code = "provider_key_refused"


class ProviderKeyUnpaid(ProviderKeyRefused):
    status = 402
    type = "insufficient_quota"


class ProviderKeyLimited(ProviderKeyRefused):
    status = 429
    type = "rate_limit_error"


class ServiceError(AspendosError):
    pass


class Unavailable(ServiceError):
    status = 503
    default_code = "unavailable"


class ProviderKeyUnreadable(Unavailable):
    """A tenant's own key is stored but cannot be decrypted: its master key is missing, or the row was changed."""

    default_code = "provider_key_unreadable"


class Internal(ServiceError):
    pass
