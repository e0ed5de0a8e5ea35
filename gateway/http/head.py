"""HEAD: answered as GET would be, without its body (RFC 9110 section 9.3.2); load balancers probe with it.

Refuses to know any route: whatever takes GET takes HEAD.
"""

from gateway.edge.asgi import AsgiApp, Message, Receive, Scope, Send

ASKED = "aspendos.asked_method"
"""Where a request's own method stands in its scope, when it is served as another."""


class HeadAsGet:
    """An application around one that knows only GET."""

    def __init__(self, app: AsgiApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def head(message: Message) -> None:
            if message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        await self.app({**scope, "method": "GET", ASKED: "HEAD"}, receive, head)
