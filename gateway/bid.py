"""Bid: what one request offers to the rules on its way through them. Refuses to decide anything."""

from gateway.call import Call
from gateway.dialects.dialect import Request
from gateway.routing.table import Route, RoutingTable
from inference.codecs.token_estimate import estimate_input
from inference.ir.tiers import Feature
from policies.api_keys import Principal
from policies.ceiling import Ask, Ceiling, ceiling

_NOTHING: frozenset[str] = frozenset()


class Bid:
    """Changes where it does not fit: another `route`, a shorter answer (`cut`, in tokens), budgets that are `spared`.

    What the request takes, and may cost at most, is worked out when it is asked for: where no rule counts it nobody
    does, and a long prompt is not gone through.
    """

    __slots__ = (
        "_ask",
        "_most",
        "call",
        "cut",
        "feature",
        "own_key",
        "principal",
        "request",
        "route",
        "spared",
        "table",
    )

    def __init__(
        self,
        call: Call,
        table: RoutingTable,
        principal: Principal,
        request: Request,
        route: Route,
        *,
        feature: Feature,
        own_key: bool,
    ) -> None:
        self.call = call
        self.table = table
        self.principal = principal
        self.feature = feature
        self.own_key = own_key
        self.request = request
        self.route = route
        self.cut: int | None = None
        self.spared = _NOTHING
        self._ask: Ask | None = None
        self._most: Ceiling | None = None

    @property
    def ask(self) -> Ask:
        """What is known of the request before it is sent."""
        ask = self._ask
        if ask is None:
            request = self.request
            ask = self._ask = Ask(
                prompt=estimate_input(request.prompt),
                pictures=request.pictures,
                images=request.images,
                characters=request.characters,
                audio=request.audio,
                audio_bytes=request.audio_bytes,
                documents=request.documents,
                max_output=request.max_output,
                answers=request.answers,
            )
        return ask

    @property
    def most(self) -> Ceiling:
        """The most it can cost where it goes."""
        most = self._most
        if most is None:
            most = self._most = ceiling(self.route.model, self.ask)
        return most

    def lower(self, most: Ceiling, cut: int | None) -> None:
        """Bid less for the same model."""
        self._most, self.cut = most, cut

    def turn_to(self, route: Route) -> None:
        """Bid for another model, in full."""
        self.route, self.cut, self._most = route, None, None
