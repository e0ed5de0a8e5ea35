"""Where a tenant's salt goes: to OpenAI's own address and vLLM's by itself, elsewhere if the catalogue says so."""

import pytest

from inference.deployment import Deployment
from inference.fleet.load import Load
from inference.ir.cards import CacheScope, Provider, Target


def salted(wire: str, address: str, scope: CacheScope | None, also: tuple[str, ...] = ()) -> dict[str, str]:
    provider = Provider(name="p", wire=wire, base_urls=(address,), key="sk-x", also=also)
    return Deployment(Target(provider=provider, model="m", cache_scope=scope), address, Load()).salted


@pytest.mark.parametrize(
    ("wire", "address", "usual"),
    [
        ("openai", "https://api.openai.com/v1", True),
        ("openai", "https://eu.api.openai.com/v1", True),
        ("openai-responses", "https://api.openai.com/v1", True),
        ("openai", "https://api.openai.com.example.org/v1", False),
        ("openai", "https://fakeapi.openai.com/v1", False),
        ("openai", "https://api.groq.com/openai/v1", False),
        ("openai-reasoning", "https://api.deepseek.com", False),
        ("azure-openai", "https://resource.openai.azure.com", False),
    ],
)
def test_openais_own_address_is_sent_a_cache_key_by_itself(wire: str, address: str, usual: bool) -> None:
    assert set(salted(wire, address, None).values()) == ({"prompt_cache_key"} if usual else set())
    assert set(salted(wire, address, CacheScope.TENANT).values()) == {"prompt_cache_key"}
    assert salted(wire, address, CacheScope.SHARED) == {}


def test_it_goes_where_the_field_is_known() -> None:
    routes = salted("openai", "https://api.openai.com/v1", None, also=("responses",))
    assert {"chat", "responses", "/chat/completions", "/responses"} == set(routes)
    assert "completions" in salted("vllm", "http://10.0.0.1:8000", None)
