"""Requests looked at before they go out, over a resolver that a test holds: nothing but it is ever asked."""

import base64
import json
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from gateway.media.inspection import Inspection
from inference.deployment import Deployment
from inference.fleet.load import Load
from inference.ir.cards import Provider, Target
from inference.ir.errors import InvalidField

OPEN = "93.184.216.34"
OUTSIDE, OWN = "https://api.provider.example/v1", "http://10.0.0.5:8000/v1"


class Names:
    """A resolver, a clock, and what was asked."""

    def __init__(self, **names: list[str]) -> None:
        self.names = {"api.provider.example": [OPEN], **{k.replace("_", "."): v for k, v in names.items()}}
        self.asked: list[str] = []
        self.now = 0.0
        self.inspection = Inspection(self.resolve, clock=lambda: self.now)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if host not in self.names:
            raise OSError("no such host")
        return self.names[host]

    async def check(self, *parts: Any, at: Sequence[Deployment], pictures: bool = True) -> None:
        body = {"model": "m", "messages": [{"role": "user", "content": list(parts)}]}
        await self.inspection.check(json.dumps(body).encode(), at, pictures=pictures)

    async def refused(self, *parts: Any, at: Sequence[Deployment]) -> tuple[str | None, str | None]:
        with pytest.raises(InvalidField) as caught:
            await self.check(*parts, at=at)
        assert "secret" not in caught.value.message
        return caught.value.code, caught.value.param


def to(base_url: str, wire: str = "openai", *hosts: str) -> Deployment:
    provider = Provider(name="p", wire=wire, base_urls=(base_url,), media_hosts=hosts)
    return Deployment(Target(provider=provider, model="m"), base_url, Load())


def url(address: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": address}}


def picture(data: bytes) -> dict[str, Any]:
    return url(f"data:image/png;base64,{base64.b64encode(data).decode()}")


def png(**size: Any) -> bytes:
    out = BytesIO()
    Image.new("1", (size.get("width", 2), size.get("height", 2))).save(out, "PNG")
    return out.getvalue()


HERE = "messages[0].content[0]"


@pytest.mark.parametrize("base_url", [OUTSIDE, OWN])
async def test_what_leads_inside_by_its_letters_is_told_to_nobody(base_url: str) -> None:
    names = Names()
    for host in ("169.254.169.254", "2852039166", "metadata.google.internal", "[::ffff:10.0.0.1]"):
        found = await names.refused(url(f"http://{host}/secret"), at=[to(base_url)])
        assert found == ("media_url_refused", HERE)
    assert names.asked == []


async def test_a_name_is_asked_about_for_a_server_inside() -> None:
    names = Names(
        good_example=[OPEN], evil_example=["10.0.0.1"], both_example=[OPEN, "::ffff:169.254.169.254"]
    )
    names.names["none.example"] = []
    own = [to(OWN)]
    await names.check(url("https://good.example/a.png"), url("https://good.example/b.png"), at=own)
    assert names.asked == ["good.example"]
    for host in ("evil", "both", "none"):
        found = await names.refused(
            url("https://good.example/"), url(f"http://{host}.example/secret"), at=own
        )
        assert found == ("media_url_refused", "messages[0].content[1]")
    assert await names.refused(url("http://unknown.example/secret"), at=own) == ("media_unreachable", HERE)


async def test_a_name_is_not_asked_about_for_a_server_outside() -> None:
    names = Names()
    outside = to(OUTSIDE)
    await names.check(url("https://evil.example/a.png"), at=[outside])
    assert names.asked == ["api.provider.example"]
    await names.check(url("https://evil.example/a.png"), at=[outside])
    assert names.asked == ["api.provider.example"]
    assert await names.refused(url("http://evil.example/a"), at=[outside, to(OWN)]) == (
        "media_unreachable",
        HERE,
    )


async def test_where_a_server_stands_is_asked_again_after_a_while() -> None:
    names = Names(evil_example=["10.0.0.1"])
    outside = [to(OUTSIDE)]
    await names.check(url("https://evil.example/a.png"), at=outside)
    names.names["api.provider.example"] = ["10.0.0.9"]
    await names.check(url("https://evil.example/a.png"), at=outside)
    names.now = 61.0
    assert await names.refused(url("https://evil.example/a.png"), at=outside) == ("media_url_refused", HERE)
    del names.names["api.provider.example"]
    names.now = 200.0
    assert await names.refused(url("https://evil.example/a.png"), at=outside) == ("media_url_refused", HERE)


async def test_vllm_is_one_s_own_wherever_it_stands() -> None:
    names = Names(evil_example=["10.0.0.1"])
    at = [to("https://api.provider.example", "vllm")]
    assert await names.refused(url("https://evil.example/a.png"), at=at) == ("media_url_refused", HERE)


async def test_only_addresses_of_the_web_are_told_to_a_server_inside() -> None:
    names = Names()
    await names.check(url("gs://bucket/a.png"), at=[to(OUTSIDE)])
    for address in ("file:///etc/passwd", "/etc/passwd", "gs://bucket/a.png"):
        assert await names.refused(url(address), at=[to(OWN)]) == ("invalid_media_url", HERE)


async def test_hosts_that_the_catalogue_opens() -> None:
    names = Names(a_intra_example=["10.0.0.1"])
    await names.check(url("http://pics.internal/a.png"), at=[to(OWN, "openai", "pics.internal")])
    await names.check(url("http://10.0.0.7/a.png"), at=[to(OWN, "openai", "10.0.0.7")])
    await names.check(url("http://a.intra.example/"), at=[to(OWN, "openai", "*.intra.example")])
    await names.check(url("http://anything.example/"), at=[to(OWN, "openai", "*")])
    assert names.asked == []
    for host, opened in (
        ("167772167", "10.0.0.7"),
        ("10.0.0.8", "10.0.0.7"),
        ("127.0.0.1", "*"),
        ("localhost", "*"),
        ("a.intra.example", "*.a.intra.example"),
    ):
        at = [to(OWN, "openai", opened)]
        assert await names.refused(url(f"http://{host}/"), at=at) == ("media_url_refused", HERE)
    at = [to(OWN, "openai", "pics.internal"), to(OUTSIDE)]
    assert await names.refused(url("http://pics.internal/a.png"), at=at) == ("media_url_refused", HERE)


async def test_too_many_hosts() -> None:
    names = Names(**{f"h{n}_example": [OPEN] for n in range(17)})
    parts = [url(f"http://h{n}.example/") for n in range(17)]
    await names.check(*parts[:16], at=[to(OWN)])
    assert await names.refused(*parts, at=[to(OWN)]) == ("too_many_media", "messages[0].content[16]")


async def test_pictures_that_are_none() -> None:
    names = Names()
    outside = [to(OUTSIDE)]
    await names.check(
        picture(png()), picture(b"\0\0\0\x18ftypheic" + b"\0" * 40), picture(b"BM1234"), at=outside
    )
    assert await names.refused(picture(b"no picture"), at=outside) == ("invalid_image", HERE)
    broken = url("data:image/png;base64,***")
    assert await names.refused(broken, at=outside) == ("invalid_image", HERE)
    vast = picture(png(width=20_000, height=20_000))
    assert await names.refused(vast, at=outside) == ("image_too_large", HERE)
    await names.check(broken, at=outside, pictures=False)


async def test_a_large_picture_is_judged_by_its_beginning() -> None:
    names = Names()
    whole = png() + b"\0" * 3_000_000
    await names.check(picture(whole), at=[to(OUTSIDE)])
    encoded = base64.encodebytes(whole).decode()
    await names.check(url(f"data:image/png;base64,{encoded}"), at=[to(OUTSIDE)])
    assert await names.refused(picture(b"\1" * 3_000_000), at=[to(OUTSIDE)]) == ("invalid_image", HERE)
