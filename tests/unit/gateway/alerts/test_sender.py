"""The sender: what fails is tried again, what is refused for good is not, one bad channel holds up no other."""

import asyncio

import pytest
from structlog.testing import capture_logs

from billing.budgets.crossing import Crossing
from gateway.alerts.delivery import DeliveryError, Parcel
from gateway.alerts.outbox import GIVEN_UP, LEASE_SECONDS, SENT, WAITING, Outbox
from gateway.alerts.sender import Sender
from gateway.database.engine import Database
from inference.ir.errors import Unavailable
from tests.budget_figures import NOW, figures, outbox, store
from tests.control_plane import Clock

_HALF = Crossing(mark="50", period_id="2026-11")


class _Channel:
    """Fails as often as told, then takes everything."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.taken: list[Parcel] = []

    async def deliver(self, parcel: Parcel) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.taken.append(parcel)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
async def box(database: Database, clock: Clock) -> Outbox:
    """With one alert for the log, a webhook and a mail."""
    await store(database, webhook="https://example.org/", emails=("a@example.org",))
    made = Outbox(database, clock=clock)
    assert await made.raise_alert(figures(spent=500), _HALF)
    return made


async def _states(database: Database) -> dict[str, str]:
    return {row["channel"]: row["state"] for row in await outbox(database)}


async def test_each_channel_gets_its_own(database: Database, box: Outbox) -> None:
    channels = {name: _Channel() for name in ("log", "webhook", "mail")}
    assert await Sender(box, channels).send_due() == 3
    assert {name: channel.taken[0].address for name, channel in channels.items()} == {
        "log": "log",
        "webhook": "https://example.org/",
        "mail": "a@example.org",
    }
    assert len({channel.taken[0].event.id for channel in channels.values()}) == 1
    assert set((await _states(database)).values()) == {SENT}
    assert await Sender(box, channels).send_due() == 0


async def test_failures_are_tried_again_and_refusals_are_not(
    database: Database, box: Outbox, clock: Clock
) -> None:
    webhook = _Channel(DeliveryError("the receiver answered 500"))
    mail = _Channel(DeliveryError("no such address", final=True))
    sender = Sender(box, {"log": _Channel(), "webhook": webhook, "mail": mail})
    with capture_logs() as lines:
        await sender.send_due()
    assert await _states(database) == {"log": SENT, "webhook": WAITING, "mail": GIVEN_UP}
    assert {(line["channel"], line["log_level"]) for line in lines} == {
        ("webhook", "warning"),
        ("mail", "error"),
    }
    clock.now += 10
    await sender.send_due()
    assert await _states(database) == {"log": SENT, "webhook": SENT, "mail": GIVEN_UP}
    assert (webhook.taken[0].attempts, mail.taken) == (2, [])


async def test_a_sender_killed_after_sending_sends_again_with_the_same_id(box: Outbox, clock: Clock) -> None:
    """Delivered, but killed before that could be written down."""
    killed = {"log": _Channel(), "webhook": _Channel(), "mail": _Channel()}
    for parcel in await box.take(10):
        await killed[parcel.channel].deliver(parcel)
    clock.now += LEASE_SECONDS
    other = {"log": _Channel(), "webhook": _Channel(), "mail": _Channel()}
    await Sender(box, other).send_due()
    for name, channel in other.items():
        assert channel.taken[0].event == killed[name].taken[0].event


async def test_it_goes_on_when_the_database_was_away(box: Outbox) -> None:
    class Away(Outbox):
        troubles = 2

        async def take(self, limit: int) -> list[Parcel]:
            if self.troubles:
                self.troubles -= 1
                raise Unavailable("the database is away")
            return await box.take(limit)

        async def delivered(self, parcel: Parcel) -> None:
            await box.delivered(parcel)

    channels = {name: _Channel() for name in ("log", "webhook", "mail")}
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if channels["mail"].taken:
            raise asyncio.CancelledError

    away = Away.__new__(Away)
    with pytest.raises(asyncio.CancelledError):
        await Sender(away, channels, interval=3.0, sleep=sleep).run()
    assert slept == [3.0, 3.0, 3.0]
