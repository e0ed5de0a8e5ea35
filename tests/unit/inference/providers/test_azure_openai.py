"""Azure's addresses."""

from inference.deployment import wire_of
from inference.ir.cards import Kind, Model, Price, Provider
from inference.ir.chat import ChatRequest, Message, Role
from inference.ir.content import Family
from inference.providers.azure_openai import WIRE

CARD = Model(name="m", kind=Kind.CHAT, price=Price(input=0, output=0, version="v"))


def test_a_deployment_is_in_the_path_and_the_key_in_its_header() -> None:
    path = "/openai/deployments/my%2Fgpt/chat/completions?api-version=2024-10-21"
    assert WIRE.lanes["chat"].path("my/gpt", stream=True) == path
    asked = ChatRequest(model="m", family=Family.ANTHROPIC, messages=(Message(role=Role.USER),))
    assert WIRE.chat is not None
    assert WIRE.chat.request(asked, model="my/gpt", card=CARD).path == path
    assert WIRE.credential("k") == ("api-key", "k")
    for route, below in (("images", "images/generations"), ("transcriptions", "audio/transcriptions")):
        assert WIRE.lanes[route].path("my/gpt", stream=False) == path.replace("chat/completions", below)


def test_the_catalogues_name_has_a_dash() -> None:
    assert wire_of(Provider(name="a", wire="azure-openai", base_urls=())) is WIRE
