"""Providers of a catalogue: addresses, keys and headers, from the file and the environment."""

import pytest

from inference.catalog import CatalogError, load_catalog
from inference.ir.cards import AwsCredentials, Catalog, Timeouts
from tests.catalog_texts import GOOD, lines, load, only, problems


def test_a_key_turns_its_provider_on() -> None:
    off, on = load(GOOD).providers["a"], load(GOOD, A_KEY=" k\n").providers["a"]
    assert (off.off, off.key, off.key_env) == ("A_KEY is not set", None, "A_KEY")
    assert (on.off, on.key) == (None, "k")
    assert load(GOOD, A_KEY="").providers["a"].off == "A_KEY is not set"
    assert load(GOOD, A_KEY="a\nb").providers["a"].off == "A_KEY holds characters that a header cannot carry"


def test_addresses_are_cut_to_one_form() -> None:
    providers = load(GOOD).providers
    assert providers["b"].base_urls == ("http://127.0.0.1:9/v1",)
    assert providers["fleet"].base_urls == ("http://10.0.0.1:8000", "http://10.0.0.2:8000")


def test_an_address_may_come_from_the_environment() -> None:
    text = only('wire: openai, base_url: {env: URL, default: "http://d/v1"}')
    assert load(text).providers["p"].base_urls == ("http://d/v1",)
    assert load(text, URL="http://e/v1").providers["p"].base_urls == ("http://e/v1",)
    assert load(only("wire: openai, base_url: {env: URL}")).providers["p"].off == "URL is not set"
    assert lines(text, URL="nonsense") == [
        "c.yaml:3: providers.p.base_url: expected an http(s) address without user, query or fragment, "
        "such as `https://api.openai.com/v1`, found URL in the environment: `nonsense`"
    ]


def test_times_take_units() -> None:
    times = "connect: 500ms, first_byte: 30s, idle: 2m, total: 1h"
    text = only(f'wire: openai, base_url: "http://h/v1", timeouts: {{{times}}}')
    expected = Timeouts(connect=0.5, first_byte=30, idle=120, total=3600)
    assert load(text).providers["p"].timeouts == expected
    text = only('wire: openai, base_url: "http://h/v1", timeouts: {idle: 1.5}')
    assert load(text).providers["p"].timeouts == Timeouts(idle=1.5)


def test_headers_tls_and_connections_reach_the_card() -> None:
    text = only(
        'wire: openai, base_url: "http://h/v1", headers: {X-Team: red, api-key: {env: K}}, '
        "tls: {verify: false, ca: ca.pem}, max_connections: 7"
    )
    provider = load(text, K="v").providers["p"]
    assert provider.headers == (("x-team", "red"), ("api-key", "v"))
    assert (provider.tls_verify, provider.tls_ca, provider.max_connections) == (False, "ca.pem", 7)
    assert load(text).providers["p"].off == "K is not set"
    assert load(text, K="v").warnings == (
        "c.yaml:3: providers.p accepts any certificate: anyone on the way can read along",
    )


def test_where_to_ask_whether_a_key_is_good() -> None:
    text = GOOD.replace("key: {env: A_KEY}}", "key: {env: A_KEY}, key_check: /key}")
    assert load(text, A_KEY="k").providers["a"].key_check == "/key"
    assert load(GOOD).providers["a"].key_check is None
    [problem] = problems(text.replace("/key}", "https://evil.example/key}"))
    assert "a path such as `/key`" in str(problem)


def test_headers_from_the_environment_speak_of_the_operators_account() -> None:
    text = GOOD.replace(
        "key: {env: A_KEY}}", "key: {env: A_KEY}, headers: {X-Org: {env: ORG}, x-version: '1'}}"
    )
    card = load(text, A_KEY="k", ORG="o").providers["a"]
    assert card.account_headers == {"x-org"}
    assert load(text, A_KEY="k").providers["a"].lacks_key


VERTEX = """\
version: 1
providers:
  v: {wire: vertex, project: my-project, location: europe-west4, service_account: {env: SA}}
  g: {wire: vertex, project: my-project, key: {env: G_KEY}}
models:
  m: {kind: chat, free: true, targets: [{provider: v, model: gemini}, {provider: g, model: gemini}]}
"""


def test_a_service_account_opens_vertex_and_its_address_is_made_of_the_project() -> None:
    def vertex(text: str, **environ: str) -> Catalog:
        return load_catalog(text, source="c.yaml", environ=environ)

    catalog = vertex(VERTEX, SA='{"private_key": "canary"}')
    provider = catalog.providers["v"]
    assert provider.off is None
    assert provider.base_urls == (
        "https://europe-west4-aiplatform.googleapis.com/v1/projects/my-project/locations/europe-west4",
    )
    assert provider.service_account == '{"private_key": "canary"}'
    assert "canary" not in repr(provider)
    other = catalog.providers["g"]
    assert other.base_urls == ("https://aiplatform.googleapis.com/v1/projects/my-project/locations/global",)
    assert (other.off, other.lacks_key) == ("G_KEY is not set", True)
    assert vertex(VERTEX).providers["v"].off == "SA is not set"
    with pytest.raises(CatalogError, match=r"v\.service_account: expected wire `vertex`"):
        load_catalog(
            VERTEX.replace(
                "wire: vertex, project: my-project, location: europe-west4",
                'wire: openai, base_url: "http://a"',
            ),
            source="c.yaml",
            environ={},
        )


BEDROCK = """\
version: 1
providers:
  signed:
    wire: bedrock
    region: eu-west-1
    aws: {access_key: {env: ID}, secret_key: {env: SECRET}, session_token: {env: SESSION}}
  keyed: {wire: bedrock, region: cn-north-1, key: {env: B_KEY}}
  private: {wire: bedrock, region: eu-west-1, base_url: "http://vpc.example", key: {env: B_KEY}}
models:
  m: {kind: chat, free: true, targets: [{provider: signed, model: nova}]}
"""


def test_keys_of_aws_open_bedrock_and_its_address_is_made_of_the_region() -> None:
    def bedrock(text: str, **environ: str) -> Catalog:
        return load_catalog(text, source="c.yaml", environ=environ)

    found = bedrock(BEDROCK, ID="AKIA", SECRET="canary", SESSION="canary-too").providers
    signed = found["signed"]
    assert signed.base_urls == ("https://bedrock-runtime.eu-west-1.amazonaws.com",)
    assert signed.aws == AwsCredentials(access_key="AKIA", secret_key="canary", session_token="canary-too")
    assert (signed.region, signed.off, signed.lacks_key) == ("eu-west-1", None, False)
    assert "canary" not in repr(signed) + repr(signed.aws)
    assert found["keyed"].base_urls == ("https://bedrock-runtime.cn-north-1.amazonaws.com.cn",)
    assert (found["keyed"].off, found["keyed"].aws) == ("B_KEY is not set", None)
    assert found["private"].base_urls == ("http://vpc.example",)
    lent = bedrock(BEDROCK, ID="AKIA", SECRET="canary").providers["signed"]
    assert lent.off is None
    assert lent.aws == AwsCredentials(access_key="AKIA", secret_key="canary")
    locked = bedrock(BEDROCK, ID="AKIA").providers["signed"]
    assert (locked.off, locked.lacks_key, locked.aws) == ("SECRET is not set", True, None)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("region: eu-west-1\n    aws", "aws", r"signed\.region: expected a region of AWS"),
        (
            "region: eu-west-1\n    aws",
            "region: Europe\n    aws",
            r"signed\.region: expected a region of AWS",
        ),
        ("    aws:", "    key: {env: K}\n    aws:", r"signed\.aws: expected one or the other"),
        (
            "  keyed: {wire: bedrock",
            '  keyed: {wire: openai, base_url: "http://a"',
            r"keyed\.region: expected wire",
        ),
    ],
)
def test_mistakes_about_aws(old: str, new: str, words: str) -> None:
    assert old in BEDROCK
    with pytest.raises(CatalogError, match=words):
        load_catalog(
            BEDROCK.replace(old, new, 1),
            source="c.yaml",
            environ={},
        )
