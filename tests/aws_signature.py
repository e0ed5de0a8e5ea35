"""AWS's side of a signature: botocore signs the request it received again and compares."""

import datetime as dt
from typing import Any
from unittest.mock import patch

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from inference.ir.cards import AwsCredentials
from tests.scripted_peer import Asked

_SigV4Auth: Any = SigV4Auth  # botocore has no types


def signed_by_botocore(
    credentials: AwsCredentials,
    *,
    method: str,
    url: str,
    headers: dict[str, str],
    body: bytes,
    region: str,
    moment: dt.datetime,
) -> dict[str, str]:
    """The headers of a request once botocore has signed it at that moment, names in lower case."""
    request: Any = AWSRequest(method=method, url=url, headers=headers, data=body)
    keys = Credentials(credentials.access_key, credentials.secret_key, credentials.session_token)
    with patch("botocore.auth.get_current_datetime", lambda: moment):
        _SigV4Auth(keys, "bedrock", region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


def headers_of(asked: Asked) -> dict[str, str]:
    """A request's headers, names in lower case."""
    lines = asked.raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


def signature_fault(asked: Asked, aws: AwsCredentials, *, region: str) -> str | None:
    """What is wrong with a request's signature; None: nothing."""
    headers = headers_of(asked)
    given = headers.get("authorization", "")
    if not given.startswith("AWS4-HMAC-SHA256 "):
        return "no signature"
    names = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    needed = {"host", *(name for name in headers if name == "content-type" or name.startswith("x-amz-"))}
    if not needed <= set(names):
        return "a header that must be signed is not"
    method, target = asked.line.split(" ")
    again = signed_by_botocore(
        aws,
        method=method,
        url=f"http://{headers['host']}{target}",
        headers={name: headers[name] for name in names if not name.startswith("x-amz-")},
        body=asked.body,
        region=region,
        moment=dt.datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC),
    )
    return None if again["authorization"] == given else "another signature"
