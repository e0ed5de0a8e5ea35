"""An upstream's answer for tests: what was asked of the reply is kept."""

from inference.client import Answer
from inference.codecs.shortcut import Shortcut
from inference.deployment import Deployment
from inference.fleet.load import Load
from inference.ir.cards import Kind, Model, Price, Provider, Target
from inference.transport import Reply, Sink


class FakeReply(Reply):
    """A reply whose body the test pushes itself."""

    def __init__(self) -> None:
        self.headers = []
        self.first_byte_at = 0.0
        self.sink: Sink | None = None
        self.did: list[str] = []

    def relay(self, sink: Sink, shortcut: Shortcut | None = None) -> None:
        self.sink = sink

    def pause(self) -> None:
        self.did.append("pause")

    def resume(self) -> None:
        self.did.append("resume")

    def abort(self) -> None:
        self.did.append("abort")


PRICE = Price(input=1_000_000_000, output=2_000_000_000, version="p1")


def deployment(wire: str = "openai") -> Deployment:
    provider = Provider(
        name="fake", wire=wire, base_urls=("http://127.0.0.1:1/v1",), key="sk-upstream-secret"
    )
    return Deployment(Target(provider=provider, model="real"), "http://127.0.0.1:1/v1", Load())


def model() -> Model:
    return Model(name="m", kind=Kind.CHAT, price=PRICE)


def answer(wire: str = "openai") -> Answer:
    asked = deployment(wire)
    made = Answer(asked, FakeReply(), asked.lanes["chat"])
    made.deployment.load.in_flight = 1
    return made
