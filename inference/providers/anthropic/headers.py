"""What clients of Anthropic's say in headers, for providers of Claude who want it in the body. Pure.

The versions of 2023 have names of their own at each provider (`bedrock-2023-05-31`); those since are sent there as they
are called at Anthropic, as its SDK does.
"""

from inference.codecs.body import decode_fields, encode_fields, raw

_NAMED_ELSEWHERE = "2023-"


def with_version(body: bytes, headers: bytes) -> bytes:
    """A request with the version that the client asked for, where that is a newer one."""
    version = ",".join(_said(headers, b"anthropic-version"))
    if not version or version.startswith(_NAMED_ELSEWHERE):
        return body
    fields = decode_fields(body)
    fields["anthropic_version"] = raw(version)
    return encode_fields(fields)


def with_betas(body: bytes, headers: bytes) -> bytes:
    """A request with the field for the header `anthropic-beta`, unless it has that already."""
    betas = _said(headers, b"anthropic-beta")
    if not betas:
        return body
    fields = decode_fields(body)
    fields.setdefault("anthropic_beta", raw(betas))
    return encode_fields(fields)


def _said(headers: bytes, wanted: bytes) -> list[str]:
    """What a header holds, in order."""
    found: list[str] = []
    for line in headers.splitlines():
        name, _, value = line.partition(b":")
        if name.strip().lower() == wanted:
            found += [each.strip() for each in value.decode("latin-1").split(",") if each.strip()]
    return found
