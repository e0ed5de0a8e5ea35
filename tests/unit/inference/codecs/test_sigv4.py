"""Signatures of AWS, held against botocore's on the same requests."""

import datetime as dt
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.codecs.sigv4 import signed
from inference.ir.cards import AwsCredentials
from tests.aws_signature import signed_by_botocore

NOW = 1_763_700_000.0
MODELS = (
    "anthropic.claude-v2",
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/mi1dadi0g15f",
)
TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
PATH = st.text(max_size=20)
QUERY = st.sampled_from(("", "?a=1", "?b=2&a=%20&a=1&c"))


def asked_for(path: str, query: str) -> str:
    return "/" + quote(path, safe="/") + query


@given(
    secret=TEXT,
    token=st.none() | TEXT,
    target=st.builds(asked_for, PATH, QUERY),
    model=st.sampled_from(MODELS),
    body=st.binary(max_size=300),
    value=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
    now=st.floats(min_value=0, max_value=4_000_000_000),
    region=st.sampled_from(("us-east-1", "eu-central-1", "cn-north-1")),
)
def test_as_botocore_signs(
    secret: str, token: str | None, target: str, model: str, body: bytes, value: str, now: float, region: str
) -> None:
    credentials = AwsCredentials(access_key="AKIDEXAMPLE", secret_key=secret, session_token=token)
    for path in (target, f"/model/{quote(model, safe='')}/converse-stream"):
        headers = [
            ("host", f"bedrock-runtime.{region}.amazonaws.com"),
            ("content-type", "application/json"),
            ("x-amz-note", value),
        ]
        ours = signed(
            credentials,
            method="POST",
            target=path,
            headers=headers,
            body=body,
            region=region,
            service="bedrock",
            now=now,
        )
        expected = signed_by_botocore(
            credentials,
            method="POST",
            url=f"https://bedrock-runtime.{region}.amazonaws.com{path}",
            headers=dict(headers),
            body=body,
            region=region,
            moment=dt.datetime.fromtimestamp(now, dt.UTC),
        )
        assert dict(ours) == {name: expected[name] for name, _ in ours}
        assert ("x-amz-security-token" in dict(ours)) == (token is not None)


def test_a_models_name_is_encoded_twice() -> None:
    """The example by which one notices: signed for a path encoded once, AWS refuses it."""
    credentials = AwsCredentials(access_key="AKIDEXAMPLE", secret_key="secret")
    twice, once = (
        dict(
            signed(
                credentials,
                method="POST",
                target=target,
                headers=[("host", "h")],
                body=b"",
                region="r",
                service="s",
                now=NOW,
            )
        )["authorization"]
        for target in ("/model/a%3A0/converse", "/model/a:0/converse")
    )
    assert twice != once


@pytest.mark.parametrize("now", [NOW, 1_763_683_199.999, 1_763_683_200.0])
def test_the_day_is_that_of_the_signature(now: float) -> None:
    lines = dict(
        signed(
            AwsCredentials(access_key="A", secret_key="s"),
            method="GET",
            target="/",
            headers=[("host", "h")],
            body=b"",
            region="eu-west-1",
            service="bedrock",
            now=now,
        )
    )
    assert f"Credential=A/{lines['x-amz-date'][:8]}/eu-west-1/bedrock/aws4_request" in lines["authorization"]


def test_secrets_do_not_show() -> None:
    credentials = AwsCredentials(access_key="AKIDEXAMPLE", secret_key="canary", session_token="canary")
    assert "canary" not in repr(credentials)
    assert "AKID" not in repr(credentials)
