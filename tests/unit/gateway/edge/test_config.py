import asyncio

import pytest

from gateway.edge.asgi import EdgeApp
from gateway.edge.config import EdgeConfig, edge_of
from gateway.edge.edge import Handler
from tests.edge_server import Calls, render_error, serving


def test_edge_is_found_under_a_servers_wrapping() -> None:
    class Middleware:
        def __init__(self, app: object) -> None:
            self.app = app

    config = EdgeConfig(routes={}, render_error=render_error)
    app = EdgeApp(Calls().asgi, config)
    assert edge_of(Middleware(Middleware(app))) is config


def test_an_application_without_edge_is_named() -> None:
    with pytest.raises(TypeError, match="function has no `edge`"):
        edge_of(render_error)


def test_a_path_that_is_no_fixed_text_is_asked_for_after_those_that_are() -> None:
    calls = Calls()
    asked: list[tuple[str, str]] = []

    def find(method: str, path: str) -> Handler | None:
        asked.append((method, path))
        return calls.echo if path.startswith("/models/") else None

    config = EdgeConfig(routes={("POST", "/fixed"): calls.echo}, find=find, render_error=render_error)
    assert config.handler("POST", "/fixed") == calls.echo
    assert not asked
    assert config.handler("POST", "/models/a/b:go") == calls.echo
    assert config.handler("GET", "/fixed") is None
    assert asked == [("POST", "/models/a/b:go"), ("GET", "/fixed")]
    assert EdgeConfig(routes={}, render_error=render_error).handler("GET", "/") is None


@pytest.mark.parametrize("through", ["connection", "asgi"])
@pytest.mark.parametrize("target", ["/models/a%2Fb:go", "/models/a/b:go?alt=sse"])
async def test_paths_are_found_unquoted_and_without_their_query(through: str, target: str) -> None:
    calls = Calls()

    def find(_: str, path: str) -> Handler | None:
        return calls.echo if path == "/models/a/b:go" else None

    async with serving({}, through=through, find=find) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"POST {target} HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        await writer.wait_closed()
    assert calls.served == ["/models/a/b:go"]
