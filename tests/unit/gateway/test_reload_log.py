"""Catalogues that come into force are in the audit log: who asked, from which version to which, once."""

import asyncio

from gateway.database.audit import AuditFilter
from gateway.reload_log import ReloadLog
from policies.caller import OPERATOR
from tests.control_plane import Plane


async def entries(plane: Plane) -> list[tuple[str, object, object]]:
    page = await plane.audit.list(OPERATOR, AuditFilter(action="config.reload"))
    return [(one.actor, one.before, one.after) for one in reversed(page.data)]


def told(actor: str, before: str, after: str) -> tuple[str, object, object]:
    return actor, {"version": before}, {"version": after}


async def test_who_asked_and_what_changed(plane: Plane) -> None:
    log = ReloadLog(plane.database)
    await log.asked(OPERATOR, "v1", "v2")
    await log.asked(OPERATOR, "v2", "v2")
    asked = [told("operator", "v1", "v2"), told("operator", "v2", "v2")]
    assert await entries(plane) == asked
    await log.signalled("v1", "v2")
    assert await entries(plane) == asked, "another process hears of what was asked here"


async def test_one_of_the_processes_that_hear_a_signal_tells(plane: Plane) -> None:
    await asyncio.gather(*(ReloadLog(plane.database).signalled("v1", "v2") for _ in range(4)))
    await ReloadLog(plane.database).signalled("v2", "v2")
    await ReloadLog(plane.database).signalled("v2", "v1")
    assert await entries(plane) == [told("signal SIGHUP", "v1", "v2"), told("signal SIGHUP", "v2", "v1")]
