"""What is remembered of an attempt that failed: figures and codes, nobody's words."""

import msgspec

from gateway.attempt import Attempt, failed
from inference.ir.errors import Unavailable, UpstreamRateLimited
from inference.ir.quota import Limit, Quota
from tests.fake_answer import deployment
from tests.own_key import OwnKey


def test_a_refusal_with_all_that_came_with_it() -> None:
    error = UpstreamRateLimited("Prompt canary: slow down.", code="slow_down", retry_after=2.5)
    error.answered = 429
    error.quota = Quota(requests=Limit(limit=10, remaining=0, reset=2.5))
    made = failed(deployment().keyed(OwnKey("fake")), error)
    assert made == Attempt(
        provider="fake",
        deployment="real@127.0.0.1:1",
        code="slow_down",
        status=429,
        retry_after=2.5,
        quota=error.quota,
        byok=True,
    )
    assert b"canary" not in msgspec.json.encode(made)


def test_one_that_never_answered() -> None:
    made = failed(deployment(), Unavailable("Away.", code="away"))
    assert msgspec.to_builtins(made) == {
        "provider": "fake",
        "deployment": "real@127.0.0.1:1",
        "code": "away",
    }
