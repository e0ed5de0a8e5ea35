"""The routing table for callers with keys of their own: what comes first, what follows, what is unlocked."""

from gateway.routing.table import Route
from inference.fleet.load import LoadTable
from inference.ir.cards import Kind, Model, Price, Provider, Target
from tests.own_key import OwnKey


def provider(name: str, *, workers: int = 1, locked: bool = False) -> Provider:
    return Provider(
        name=name,
        wire="openai",
        base_urls=tuple(f"http://{name}.{number}.test/v1" for number in range(workers)),
        key=None if locked else "sk-operators",
        off="no key" if locked else None,
        lacks_key=locked,
    )


def route(*targets: Provider, locked: tuple[Provider, ...] = ()) -> Route:
    model = Model(
        name="m",
        kind=Kind.CHAT,
        price=Price(input=1, output=1, version="v"),
        targets=tuple(Target(provider=card, model="real") for card in targets),
        locked_targets=tuple(Target(provider=card, model="real") for card in locked),
    )
    return Route(model, LoadTable())


def planned(made: Route, *keys: OwnKey) -> list[str]:
    """Providers in the order of the attempts; `+` where the tenant's own key is used."""
    held = {key.provider: key for key in keys}
    return [
        attempt.provider.name + ("+" if attempt.credential is not None else "")
        for attempt in made.attempts_with(lambda: 0.0, held.get)
    ]


def test_without_a_key_for_it_the_operators_is_used() -> None:
    assert planned(route(provider("a")), OwnKey("b")) == ["a"]


def test_an_own_key_alone_unless_it_may_fall_back() -> None:
    both = route(provider("a"), provider("b"))
    assert planned(both, OwnKey("b")) == ["b+"]
    assert planned(both, OwnKey("b", fallback=True)) == ["b+", "a", "b"]


def test_of_several_own_keys_each_must_allow_the_fall_back() -> None:
    both = route(provider("a"), provider("b"))
    assert planned(both, OwnKey("a", fallback=True), OwnKey("b")) == ["a+", "b+"]
    assert planned(both, OwnKey("a", fallback=True), OwnKey("b", fallback=True)) == ["a+", "b+", "a", "b"]


def test_what_the_operator_has_no_key_for_is_unlocked_by_ones_own() -> None:
    premium = route(locked=(provider("a", locked=True),))
    assert planned(premium) == []
    assert premium.attempts(lambda: 0.0) == []
    assert planned(premium, OwnKey("a")) == ["a+"]
    assert planned(premium, OwnKey("a", fallback=True)) == ["a+"]
    mixed = route(provider("b"), locked=(provider("a", locked=True),))
    assert planned(mixed) == ["b"]
    assert planned(mixed, OwnKey("a", fallback=True)) == ["a+", "b"]


def test_whether_the_gateways_key_may_be_used_and_billed() -> None:
    both = route(provider("a"), provider("b"))
    assert not both.only_own(lambda name: None)
    assert not both.only_own({"c": OwnKey("c")}.get)
    assert both.only_own({"a": OwnKey("a")}.get)
    assert not both.only_own({"a": OwnKey("a", fallback=True)}.get)
    locked = route(locked=(provider("a", locked=True),))
    assert locked.only_own({"a": OwnKey("a", fallback=True)}.get)  # there is nothing to fall back on


def test_what_can_be_tried_at_all() -> None:
    locked = route(locked=(provider("a", locked=True),))
    assert not locked.usable(None)
    assert not locked.usable({"b": OwnKey("b")}.get)
    assert locked.usable({"a": OwnKey("a")}.get)
    assert route(provider("a")).usable(None)


def test_every_address_of_the_provider_gets_the_key_and_no_other() -> None:
    made = route(provider("a", workers=3), provider("b"))
    attempts = made.attempts_with(lambda: 0.0, {"a": OwnKey("a")}.get)
    assert {attempt.origin.host for attempt in attempts} == {"a.0.test", "a.1.test", "a.2.test"}
    assert all(attempt.credential is not None for attempt in attempts)
    assert all(attempt.credential is None for attempt in made.attempts(lambda: 0.0))


def test_load_is_the_servers_whoever_calls() -> None:
    made = route(provider("a"))
    keyed = made.attempts_with(lambda: 0.0, {"a": OwnKey("a")}.get)[0]
    assert keyed.load is made.attempts(lambda: 0.0)[0].load
