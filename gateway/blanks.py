"""Blanks: usage records as far as they are the same for all calls of one caller to one target, made once and kept.

Refuses to know what a call took. A blank holds for exactly the objects it was made from, so it needs no clearing: a
caller, rules or a target that changed are other objects.
"""

from billing.usage import UsageRecord
from gateway.call import Call
from policies.api_keys import Principal

_MOST = 4096
"""Blanks kept; with one more all are made anew, and what they were made from is let go."""


class Blanks:
    """`of` is the hot path: one look into a dictionary."""

    def __init__(self) -> None:
        self._kept: dict[tuple[object, ...], tuple[UsageRecord, tuple[object, ...]]] = {}

    def of(self, call: Call, principal: Principal) -> UsageRecord:
        """The record of a call of which nothing is known but who asked, for which model, and who answers: what it
        took is 0, its id empty, its status 200."""
        ticket, model, deployment = call.ticket, call.model, call.deployment
        if ticket is None:  # refused before it was let in: nothing worth keeping
            return _blank(call, principal)
        rules, feature = ticket.rules, call.feature
        # By identity: hashing what these hold would cost more than the record.
        name = (id(principal), id(rules), id(model), id(deployment), id(feature), call.route)
        kept = self._kept.get(name)
        if kept is not None:
            return kept[0]
        blank = _blank(call, principal)
        # A target with a tenant's key is made for one call, and the key is not ours to keep.
        if not blank.byok:
            if len(self._kept) >= _MOST:
                self._kept.clear()
            # Kept with what it was made from, lest another object comes to lie in its place.
            self._kept[name] = blank, (principal, rules, model, deployment, feature)
        return blank


def _blank(call: Call, principal: Principal) -> UsageRecord:
    ticket, model, deployment = call.ticket, call.model, call.deployment
    return UsageRecord(
        id="",
        at=0,
        duration_us=0,
        overhead_us=0,
        status=200,
        key_id=principal.key_id,
        team_id=principal.team_id,
        org_id=principal.org_id,
        user_id=principal.user_id,
        tier=principal.tier,
        feature=call.feature,
        account=ticket.rules.account if ticket is not None else None,
        route=call.route,
        model=model.name if model is not None else None,
        price_version=model.price.version if model is not None else None,
        provider=deployment.provider.name if deployment is not None else None,
        target=deployment.name if deployment is not None else None,
        byok=deployment is not None and deployment.credential is not None,
    )
