"""The desk joined: a budget set by one process is evaluated, told and delivered by another."""

import asyncio
from pathlib import Path

from billing.budgets.budget import SubjectKind
from billing.budgets.period import Period
from gateway.alerts.signature import HEADER, verify
from gateway.database.budget_views import AlertTargetsPut, BudgetCreate, SubjectWanted
from gateway.database.engine import Database
from gateway.tasks import spawn
from policies.caller import OPERATOR
from tests.budget_figures import DAY, NOW, sent, spend
from tests.budget_world import BudgetWorld
from tests.scripted_peer import Asked, Peer, Talk


async def test_from_usage_to_a_signed_webhook(database: Database, tmp_path: Path) -> None:
    told: asyncio.Queue[Asked] = asyncio.Queue()

    async def receive(talk: Talk) -> None:
        told.put_nowait(await talk.ask())
        await talk.say(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    world = BudgetWorld(database, tmp_path)
    await world.settle()
    tasks = [spawn(run, name=name) for name, run in world.desk.runs()]
    try:
        async with Peer(receive) as peer, asyncio.timeout(60):
            wanted = AlertTargetsPut(webhook=f"http://127.0.0.1:{peer.port}/")
            await world.new_desk().targets.put("org_a", wanted, OPERATOR)
            secret = (await world.new_desk().targets.new_secret("org_a", OPERATOR)).secret
            budget = BudgetCreate(
                name="november",
                subject=SubjectWanted(kind=SubjectKind.TEAM, id="team_a"),
                period=Period.MONTH,
                amount_nano=1000,
            )
            await world.new_desk().service.create(budget, OPERATOR)
            await spend(database, "r", 800, NOW - DAY)
            both = [await told.get(), await told.get()]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await world.transport.close()
    assert {sent(one.body).data.threshold for one in both} == {50, 80}
    for one in both:
        lines = one.raw.split(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        fields = dict(line.split(": ", 1) for line in lines)
        assert verify(fields[HEADER], one.body, secret, now=world.clock.now)
