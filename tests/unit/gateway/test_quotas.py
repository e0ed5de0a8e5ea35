"""What is left with the providers: read off answers and refusals, once a second, the operator's alone."""

from prometheus_client import CollectorRegistry, generate_latest

from gateway.attempt import failed
from gateway.quotas import Quotas
from inference.client import Answer
from inference.deployment import Deployment
from inference.ir.errors import UpstreamRateLimited
from inference.ir.quota import Limit, Quota
from tests.fake_answer import FakeReply, deployment
from tests.own_key import OwnKey


def answered(left: int, at: float, target: Deployment | None = None) -> Answer:
    target = target or deployment()
    reply = FakeReply()
    reply.headers = [(b"x-ratelimit-remaining-tokens", b"%d" % left)]
    reply.first_byte_at = at
    return Answer(target, reply, target.lanes["chat"])


def shown(registry: CollectorRegistry) -> list[str]:
    return [line for line in generate_latest(registry).decode().splitlines() if line[0] != "#"]


def test_an_answer_tells_what_is_left() -> None:
    registry = CollectorRegistry()
    quotas = Quotas(registry, shared=False, now=lambda: 1000.0)
    assert quotas.latest("fake", "m") is None
    quotas.answered(answered(70, 5.0), "m")
    heard = quotas.latest("fake", "m")
    assert heard is not None
    assert (heard.quota, heard.at) == (Quota(tokens=Limit(remaining=70)), 1000.0)
    assert shown(registry) == [
        'aspendos_provider_quota_remaining{model="m",provider="fake",unit="tokens"} 70.0'
    ]


def test_it_is_looked_at_once_a_second_for_each_model() -> None:
    registry = CollectorRegistry()
    quotas = Quotas(registry, shared=False)
    for left, at, model in ((70, 5.0, "m"), (60, 5.9, "m"), (50, 5.9, "other")):
        quotas.answered(answered(left, at), model)
    assert sorted(line[-4:] for line in shown(registry)) == ["50.0", "70.0"]
    quotas.answered(answered(40, 6.0), "m")
    assert sorted(line[-4:] for line in shown(registry)) == ["40.0", "50.0"]


def test_a_refusal_tells_it_at_once() -> None:
    registry = CollectorRegistry()
    quotas = Quotas(registry, shared=False)
    quotas.answered(answered(70, 5.0), "m")
    error = UpstreamRateLimited("slowly")
    error.answered, error.quota = 429, Quota(tokens=Limit(limit=100, remaining=0, reset=3.0))
    quotas.refused(failed(deployment(), error), "m")
    assert shown(registry)[0].endswith(" 0.0")
    heard = quotas.latest("fake", "m")
    assert heard is not None
    assert heard.quota == error.quota


def test_a_tenants_limits_are_not_the_operators() -> None:
    registry = CollectorRegistry()
    quotas = Quotas(registry, shared=False)
    own = deployment().keyed(OwnKey("fake"))
    quotas.answered(answered(70, 5.0, own), "m")
    error = UpstreamRateLimited("slowly")
    error.quota = Quota(tokens=Limit(remaining=0))
    quotas.refused(failed(own, error), "m")
    assert shown(registry) == []


def test_who_says_nothing_is_not_shown() -> None:
    registry = CollectorRegistry()
    quotas = Quotas(registry, shared=False)
    silent = answered(0, 5.0)
    silent.reply.headers = [(b"content-type", b"application/json")]
    quotas.answered(silent, "m")
    quotas.refused(failed(deployment(), UpstreamRateLimited("slowly")), "m")
    assert shown(registry) == []
