"""What is signed for Google, checked with the public key, and what is read of its answer."""

from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from inference.codecs.google_token import SCOPE, ServiceAccount, read_account, read_token, token_request


def test_the_assertion_is_what_google_asks_for() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    account = ServiceAccount(
        client_email="a@p.iam", private_key=pem, private_key_id="k1", token_uri="https://t.example/token"
    )
    form = parse_qs(token_request(account, 1_700_000_000.9).decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    assertion = form["assertion"][0]
    assert jwt.get_unverified_header(assertion)["kid"] == "k1"
    claims = jwt.decode(
        assertion,
        key.public_key(),
        algorithms=["RS256"],
        audience="https://t.example/token",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims == {
        "iss": "a@p.iam",
        "scope": SCOPE,
        "aud": "https://t.example/token",
        "iat": 1_700_000_000,
        "exp": 1_700_003_600,
    }
    assert pem not in repr(account)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"client_email": "a"}', "not json"])
def test_a_file_that_is_no_key_is_refused_without_a_word_of_it(text: str) -> None:
    with pytest.raises(ValueError, match="no JSON of a service account"):
        read_account(text)


def test_a_key_that_cannot_sign_is_told() -> None:
    account = ServiceAccount(client_email="a", private_key="-----BEGIN canary-----")
    with pytest.raises(ValueError, match="cannot sign") as caught:
        token_request(account, 0)
    assert "canary" not in str(caught.value)


def test_answers() -> None:
    token = read_token(b'{"access_token":"ya29","expires_in":3599,"token_type":"Bearer"}')
    assert (token.access_token, token.expires_in) == ("ya29", 3599)
    assert "ya29" not in repr(token)
    with pytest.raises(ValueError, match="no access token"):
        read_token(b'{"error":"invalid_grant"}')
