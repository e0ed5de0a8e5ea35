"""Budgets as the management API and the command line write and read them. Words only."""

from msgspec import UNSET, Struct, UnsetType

from billing.budgets.budget import Action, SubjectKind
from billing.budgets.period import Period


class SubjectWanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose spending to count. `id` is a team's or organisation's id or name, a user's id or e-mail address, a key's
    public id, or a tag such as `project=atlas`; for `organisation` it may be left out."""

    kind: SubjectKind
    id: str | None = None


class BudgetCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A budget to be made: at most so much in each day, week or month of a time zone.

    The amount is `amount_usd`, decimal dollars as text, or `amount_nano`, whole nano-USD. `time_zone` is an IANA
    name, by default the organisation's. `downgrade_to` names a model for the action `downgrade`; without it the
    cheapest model the caller may use answers. Alerts go to `webhook` and `emails`, by default to the
    organisation's.
    """

    name: str
    subject: SubjectWanted
    period: Period
    organisation: str | None = None
    time_zone: str | None = None
    amount_usd: str | None = None
    amount_nano: int | None = None
    action: Action = Action.HARD
    downgrade_to: str | None = None
    enabled: bool = True
    webhook: str | None = None
    emails: tuple[str, ...] = ()


class BudgetPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall change; what is left out stays. Whose spending is counted never changes: make another budget."""

    name: str | UnsetType = UNSET
    period: Period | UnsetType = UNSET
    time_zone: str | UnsetType = UNSET
    amount_usd: str | UnsetType = UNSET
    amount_nano: int | UnsetType = UNSET
    action: Action | UnsetType = UNSET
    downgrade_to: str | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    webhook: str | UnsetType | None = UNSET
    emails: tuple[str, ...] | UnsetType = UNSET


class SubjectView(Struct, frozen=True, kw_only=True):
    """Whose spending is counted."""

    kind: SubjectKind
    id: str


class BudgetView(Struct, frozen=True, kw_only=True):
    """A budget as it stands. Of a webhook only the host is shown: its path often is a secret."""

    id: str
    organisation: str
    name: str
    subject: SubjectView
    period: Period
    time_zone: str
    amount_nano: int
    amount_usd: str
    action: Action
    downgrade_to: str | None
    enabled: bool
    webhook: str | None
    emails: tuple[str, ...]
    created_at: str


class BudgetPage(Struct, frozen=True, kw_only=True):
    """Budgets, oldest first. When `has_more`, ask again with `after` set to `last_id`."""

    data: tuple[BudgetView, ...]
    has_more: bool
    last_id: str | None


class AlertView(Struct, frozen=True, kw_only=True):
    """An alert that was raised. `mark` is 50, 80 or 100 (per cent), `refused` or `pace`; `at` is ISO 8601."""

    mark: str
    period: str
    event: str
    at: str


class DeliveryView(Struct, frozen=True, kw_only=True):
    """An alert on its way. `state` is `waiting`, `sent` or `given_up`; `error` is of the last attempt."""

    event: str
    channel: str
    to: str
    state: str
    attempts: int
    error: str | None


class BudgetStatus(Struct, frozen=True, kw_only=True):
    """How a budget stands in the period that is running. Amounts are nano-USD, and decimal USD beside them.

    `held_nano` is what running requests hold; None where the counters cannot say. `remaining_nano` is what is left
    beside both, never below 0. `forecast_nano` is what the period will have cost if it goes on as it did so far.
    `fresh`: everything that had ended on this machine when the question came is in it.
    """

    budget: BudgetView
    period: str
    starts: str
    ends: str
    spent_nano: int
    spent_usd: str
    today_nano: int
    today_usd: str
    held_nano: int | None
    remaining_nano: int
    remaining_usd: str
    forecast_nano: int
    forecast_usd: str
    fresh: bool
    alerts: tuple[AlertView, ...]
    deliveries: tuple[DeliveryView, ...]


class TestFired(Struct, frozen=True, kw_only=True):
    """A test alert is on its way. `event` is its id, `to` where it goes; `GET …/status` shows how it fares."""

    event: str
    to: tuple[str, ...]


class AlertTargetsPut(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an organisation's alerts go when a budget names nobody. Replaced whole."""

    webhook: str | None = None
    emails: tuple[str, ...] = ()


class AlertTargetsView(Struct, frozen=True, kw_only=True):
    """Where an organisation's alerts go. `secret`: webhooks are signed; the secret was shown when it was made."""

    organisation: str
    webhook: str | None
    emails: tuple[str, ...]
    secret: bool


class WebhookSecret(Struct, frozen=True, kw_only=True):
    """The secret webhooks are signed with, shown this once. Until `previous_until` (ISO 8601; None: there was none)
    the one before signs too, as a second `v1`."""

    organisation: str
    secret: str
    previous_until: str | None = None

    def __repr__(self) -> str:
        """Without the secret."""
        return f"WebhookSecret({self.organisation!r})"
