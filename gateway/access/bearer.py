"""Bearer: the token a request is sent with. Refuses to look at whose it is."""

from inference.ir.errors import MissingKey

_KEY_HELP = (
    "Send it as `Authorization: Bearer ask-...`, or as `x-api-key: ask-...` or `x-goog-api-key: ask-...`: "
    "OpenAI's, Anthropic's and Google's SDKs do so with their `api_key`."
)


def bearer(header: bytes | None) -> str:
    """The token of an Authorization header. Raises MissingKey saying what was found instead."""
    if header is None:
        raise MissingKey(f"No API key was sent. {_KEY_HELP}")
    scheme, _, token = header.partition(b" ")
    token = token.strip()
    if scheme.lower() != b"bearer" or not token:
        raise MissingKey(f"The Authorization header holds no Bearer token. {_KEY_HELP}")
    return token.decode("ascii", "replace")
