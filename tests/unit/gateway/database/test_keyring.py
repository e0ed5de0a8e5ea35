"""The keyring on real databases: what memory knows, when the database is asked, and when it is not."""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.database.engine import Database
from gateway.database.keyring import Keyring
from gateway.database.keys import KeyPatch
from gateway.database.teams import TeamPatch
from inference.ir.errors import AspendosError, DisabledKey, ExpiredKey, Unavailable, UnknownKey
from policies.api_keys import Pepper, Proof, new_key
from policies.caller import OPERATOR
from tests.control_plane import PEPPER, Plane


class Queries:
    """Counts the statements sent to a database."""

    def __init__(self, database: Database) -> None:
        self.count = 0

        def sent(connection: Connection, *_: object) -> None:
            self.count += 1

        event.listen(database.engine.sync_engine, "before_cursor_execute", sent)


def cut(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the database is away."""

    @asynccontextmanager
    async def away() -> AsyncGenerator[AsyncSession]:
        raise Unavailable("away")
        yield  # pyright: ignore[reportUnreachable]  # makes this a generator

    monkeypatch.setattr(plane.database, "reading", away)
    monkeypatch.setattr(plane.database, "writing", away)


async def test_memory_knows_nothing_before_it_is_asked_or_loaded(plane: Plane) -> None:
    issued = await plane.issue(models=("gpt-*",))
    assert plane.keyring.lookup(issued.key) is None
    principal = await plane.keyring.authenticate(issued.key)
    assert plane.keyring.lookup(issued.key) is principal
    assert (principal.key_id, principal.key_name) == (issued.details.id, "k")
    assert (principal.team_id, principal.team_name) == (issued.details.team_id, "acme")
    assert (principal.models, principal.team_models) == (("gpt-*",), ())


async def test_sync_loads_all_and_then_follows_every_kind_of_change(plane: Plane) -> None:
    keyring = plane.keyring
    issued = await plane.issue()
    await keyring.sync()
    assert keyring.lookup(issued.key)
    assert (keyring.state, keyring.age, len(keyring)) == ("ok", 0.0, 1)
    later = await plane.issue(team="other")
    await plane.keys.update(OPERATOR, issued.details.id, KeyPatch(disabled=True))
    await keyring.sync()
    assert keyring.lookup(later.key)
    with pytest.raises(DisabledKey, match="aspendos keys enable"):
        keyring.lookup(issued.key)
    await plane.teams.update(OPERATOR, "other", TeamPatch(disabled=True))
    await keyring.sync()
    with pytest.raises(DisabledKey, match="team 'other'"):
        keyring.lookup(later.key)
    await plane.teams.update(OPERATOR, "other", TeamPatch(disabled=False, name="renamed", models=("a*",)))
    await keyring.sync()
    found = keyring.lookup(later.key)
    assert found and (found.team_name, found.team_models) == ("renamed", ("a*",))
    await plane.teams.delete(OPERATOR, "renamed", with_keys=True)
    await keyring.sync()
    assert keyring.lookup(later.key) is None
    with pytest.raises(UnknownKey):
        await keyring.authenticate(later.key)


async def test_a_key_deleted_and_known_is_forgotten(plane: Plane) -> None:
    issued = await plane.issue()
    await plane.keyring.sync()
    await plane.keys.delete(OPERATOR, issued.details.id)
    await plane.keyring.sync()
    with pytest.raises(UnknownKey, match="was deleted"):
        await plane.keyring.authenticate(issued.key)


async def test_a_key_is_known_by_its_id_as_it_stands_now(plane: Plane) -> None:
    issued = await plane.issue()
    found = await plane.keyring.holder_of(issued.details.id)  # the database is asked
    assert found == await plane.keyring.authenticate(issued.key)
    await plane.keys.update(OPERATOR, issued.details.id, KeyPatch(disabled=True))
    await plane.keyring.sync()
    with pytest.raises(DisabledKey):
        await plane.keyring.holder_of(issued.details.id)
    await plane.keys.delete(OPERATOR, issued.details.id)
    await plane.keyring.sync()
    for _ in range(2):
        with pytest.raises(UnknownKey, match="was deleted"):
            await plane.keyring.holder_of(issued.details.id)


async def test_both_secrets_until_the_overlap_ends(plane: Plane) -> None:
    old = await plane.issue()
    new = await plane.keys.rotate(OPERATOR, old.details.id, overlap_seconds=60)
    await plane.keyring.sync()
    assert plane.keyring.lookup(old.key) == plane.keyring.lookup(new.key)
    plane.clock.now += 60
    assert plane.keyring.lookup(new.key)
    with pytest.raises(ExpiredKey):
        plane.keyring.lookup(old.key)


async def test_a_proof_holds_until_anything_about_its_key_changes(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = await plane.issue()
    await plane.keyring.sync()
    proof = Proof()
    assert plane.keyring.again(proof) is None
    found = plane.keyring.lookup(issued.key, proof)
    with monkeypatch.context() as patch:
        patch.setattr(Pepper, "digest", None)  # nothing is hashed
        assert plane.keyring.again(proof) is found is not None
    await plane.keys.update(OPERATOR, issued.details.id, KeyPatch(models=("gpt-*",)))
    await plane.keyring.sync()
    assert plane.keyring.again(proof) is None
    changed = plane.keyring.lookup(issued.key, proof)
    assert changed is not None and plane.keyring.again(proof) is changed
    await plane.keys.delete(OPERATOR, issued.details.id)
    await plane.keyring.sync()
    assert plane.keyring.again(proof) is None


async def test_a_proof_ends_with_its_key(plane: Plane) -> None:
    issued = await plane.issue(expires="60s")
    await plane.keyring.sync()
    proof = Proof()
    assert plane.keyring.lookup(issued.key, proof)
    plane.clock.now += 60
    with pytest.raises(ExpiredKey):
        plane.keyring.again(proof)


async def test_a_secret_that_is_about_to_end_proves_nothing_for_later(plane: Plane) -> None:
    old = await plane.issue()
    new = await plane.keys.rotate(OPERATOR, old.details.id, overlap_seconds=60)
    await plane.keyring.sync()
    proof = Proof()
    assert plane.keyring.lookup(old.key, proof) and plane.keyring.again(proof) is None
    plane.clock.now += 60
    assert plane.keyring.lookup(new.key, proof) and plane.keyring.again(proof)


async def test_nonsense_is_refused_without_the_database(plane: Plane) -> None:
    queries = Queries(plane.database)
    for token in ("", "sk-proj-abc", "ask-", new_key(secrets.token_bytes).token[:-1] + "-"):
        with pytest.raises(UnknownKey):
            await plane.keyring.authenticate(token)
    assert queries.count == 0


async def test_a_wrong_secret_for_a_known_key_is_refused_without_the_database(plane: Plane) -> None:
    issued = await plane.issue()
    await plane.keyring.sync()
    queries = Queries(plane.database)
    forged = new_key(secrets.token_bytes, issued.details.id)
    with pytest.raises(UnknownKey):
        await plane.keyring.authenticate(forged.token)
    assert queries.count == 0


async def test_an_unknown_key_is_asked_for_once_a_second_at_most(plane: Plane) -> None:
    await plane.keyring.sync()
    token = new_key(secrets.token_bytes).token
    queries = Queries(plane.database)

    async def ask() -> None:
        with pytest.raises(UnknownKey):
            await plane.keyring.authenticate(token)

    await asyncio.gather(*(ask() for _ in range(200)))
    once = queries.count
    await ask()
    assert queries.count == once <= 2
    plane.monotonic.now += 1.5
    await ask()
    assert queries.count == 2 * once


async def test_a_flood_of_different_unknown_keys_is_a_handful_of_queries(plane: Plane) -> None:
    await plane.keyring.sync()
    queries = Queries(plane.database)
    tokens = [new_key(secrets.token_bytes).token for _ in range(1000)]
    answers = await asyncio.gather(*map(plane.keyring.authenticate, tokens), return_exceptions=True)
    assert {type(answer) for answer in answers} == {UnknownKey}
    assert queries.count <= 10


async def test_beyond_bounds_a_flood_is_told_to_come_back(plane: Plane) -> None:
    tokens = [new_key(secrets.token_bytes).token for _ in range(3000)]
    answers = await asyncio.gather(*map(plane.keyring.authenticate, tokens), return_exceptions=True)
    assert {type(answer) for answer in answers} == {UnknownKey, Unavailable}


async def test_a_key_made_after_it_was_missed_is_found_at_the_next_sync(plane: Plane) -> None:
    issued = await plane.issue()
    await plane.keyring.sync()
    await plane.keys.delete(OPERATOR, issued.details.id)
    await plane.keyring.sync()
    with pytest.raises(UnknownKey):
        await plane.keyring.authenticate(issued.key)
    later = await plane.issue()
    await plane.keyring.sync()
    assert await plane.keyring.authenticate(later.key)


async def test_database_away_known_keys_work_and_expire_unknown_ones_get_503(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = await plane.issue(expires="1h")
    await plane.keyring.sync()
    unknown = await plane.issue()
    with monkeypatch.context() as patched:
        cut(plane, patched)
        assert await plane.keyring.authenticate(known.key)
        for _ in range(2):
            with pytest.raises(Unavailable) as caught:
                await plane.keyring.authenticate(unknown.key)
            assert caught.value.http_status == 503
            assert caught.value.retry_after
        plane.clock.now += 3600
        with pytest.raises(ExpiredKey):
            await plane.keyring.authenticate(known.key)
    plane.monotonic.now += 2
    assert await plane.keyring.authenticate(unknown.key)


async def test_a_start_without_the_database_is_degraded_and_recovers(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = await plane.issue()
    with monkeypatch.context() as patched:
        cut(plane, patched)
        await plane.keyring.start()
        assert plane.keyring.state.startswith("degraded: away")
        assert plane.keyring.age is None
    async with asyncio.timeout(10):
        while plane.keyring.state != "ok":
            await asyncio.sleep(0.05)
    assert plane.keyring.lookup(issued.key)
    await plane.keyring.stop()


async def test_a_caller_who_leaves_does_not_take_the_answer_along(plane: Plane) -> None:
    issued = await plane.issue()
    leaving = asyncio.ensure_future(plane.keyring.authenticate(issued.key))  # noqa: TID251 - a test's own task
    staying = asyncio.ensure_future(plane.keyring.authenticate(issued.key))  # noqa: TID251 - a test's own task
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).key_id == issued.details.id


async def test_last_use_is_written_in_batches_and_never_goes_back(plane: Plane) -> None:
    issued = await plane.issue()
    never = await plane.issue()
    await plane.keyring.sync()
    begun = plane.clock.now
    other = plane.new_keyring()
    await other.sync()
    assert other.lookup(issued.key)
    plane.clock.now += 5
    assert plane.keyring.lookup(issued.key)
    await plane.keyring.flush()
    await other.flush()
    used = (await plane.keys.get(OPERATOR, issued.details.id)).last_used_at
    assert used and used.timestamp() == pytest.approx(begun + 5)
    assert (await plane.keys.get(OPERATOR, never.details.id)).last_used_at is None
    queries = Queries(plane.database)
    await plane.keyring.flush()
    assert queries.count == 0


async def test_last_use_outlives_an_outage_and_is_written_at_the_stop(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = await plane.issue()
    await plane.keyring.start()
    assert plane.keyring.lookup(issued.key)
    with monkeypatch.context() as patched:
        cut(plane, patched)
        await plane.keyring.flush()
    await plane.keyring.stop()
    assert (await plane.keys.get(OPERATOR, issued.details.id)).last_used_at


async def test_a_refused_key_counts_as_no_use(plane: Plane) -> None:
    issued = await plane.issue()
    await plane.keys.update(OPERATOR, issued.details.id, KeyPatch(disabled=True))
    with pytest.raises(DisabledKey):
        await plane.keyring.authenticate(issued.key)
    await plane.keyring.flush()
    assert (await plane.keys.get(OPERATOR, issued.details.id)).last_used_at is None


async def test_another_pepper_stops_the_start(plane: Plane) -> None:
    await plane.issue()
    await plane.keyring.sync()
    wrong = Keyring(plane.database, plane.changes, Pepper(PEPPER + b"!"))
    with pytest.raises(AspendosError) as caught:
        await wrong.start()
    assert caught.value.code == "pepper_mismatch"


async def test_what_is_changed_in_this_process_holds_when_the_change_is_answered(plane: Plane) -> None:
    gone, off, turned, theirs = [await plane.issue() for _ in range(4)]
    other = await plane.issue(team="globex")
    await plane.keyring.start()
    await asyncio.sleep(0)
    try:
        await plane.keys.delete(OPERATOR, gone.details.id)
        assert plane.keyring.lookup(gone.key) is None
        with pytest.raises(UnknownKey):
            await plane.keyring.authenticate(gone.key)
        await plane.keys.update(OPERATOR, off.details.id, KeyPatch(disabled=True))
        with pytest.raises(DisabledKey):
            plane.keyring.lookup(off.key)
        fresh = await plane.keys.rotate(OPERATOR, turned.details.id, overlap_seconds=0)
        assert plane.keyring.lookup(fresh.key)
        with pytest.raises(ExpiredKey):
            plane.keyring.lookup(turned.key)
        await plane.teams.update(OPERATOR, "acme", TeamPatch(disabled=True))
        with pytest.raises(DisabledKey):
            plane.keyring.lookup(theirs.key)
        assert plane.keyring.lookup(other.key)
    finally:
        await plane.keyring.stop()
