"""Every alert is a line of the log."""

from structlog.testing import capture_logs

from gateway.alerts.log import LogChannel
from tests.budget_figures import parcel


async def test_an_alert_is_a_warning_with_its_figures() -> None:
    with capture_logs() as lines:
        await LogChannel().deliver(parcel("log", channel="log"))
    (line,) = lines
    assert line["log_level"] == "warning"
    assert (line["event_id"], line["budget"], line["threshold"]) == ("evt_1", "bud_1", 80)
    assert (line["spent_usd"], line["limit_usd"]) == ("0.0000008", "0.000001")
