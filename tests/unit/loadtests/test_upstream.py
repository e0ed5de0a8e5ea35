import asyncio

import httpx

from loadtests.upstream import start


async def test_it_keeps_what_it_was_sent_and_sees_who_leaves() -> None:
    server = await start(key="k")
    async with httpx.AsyncClient(headers={"authorization": "Bearer k"}) as client:
        body = {"model": "stall-after-3", "stream": True, "odd": [1]}
        async with client.stream("POST", f"{server.base_url}/chat/completions", json=body) as answer:
            assert (await anext(answer.aiter_raw())).startswith(b"data: ")
            assert server.in_flight == 1
            assert b'"odd":[1]' in server.exchanges[-1].body
    async with asyncio.timeout(10):
        while server.in_flight:
            await asyncio.sleep(0.01)
    assert server.exchanges[-1].client_left
    assert server.exchanges[-1].pieces_sent == 3
    await server.close()


async def test_pipelined_requests_are_answered_in_order() -> None:
    server = await start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    body = b'{"model":"slow-head-50ms"}'
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
    writer.write(head + body + b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
    first = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    assert b"application/json" in first
    rest = await asyncio.wait_for(reader.readuntil(b"content-length: 0\r\n"), 10)
    assert b"HTTP/1.1 200 OK" in rest
    writer.close()
    await server.close()


async def test_without_its_key_it_refuses() -> None:
    server = await start(key="k")
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{server.base_url}/models")).status_code == 401
    await server.close()


async def test_a_client_that_does_not_read_stops_the_writing() -> None:
    server = await start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    body = b'{"model":"events-20000+pad-4000","stream":true}'
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    )
    sent = -1
    async with asyncio.timeout(20):
        while not server.exchanges or sent != server.exchanges[-1].pieces_sent:
            sent = server.exchanges[-1].pieces_sent if server.exchanges else -1
            await asyncio.sleep(0.2)
    assert 0 < sent < 20_000
    assert (await reader.read(10)).startswith(b"HTTP/1.1 2")
    writer.close()
    await server.close()
