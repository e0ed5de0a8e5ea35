"""No disguise of a private address gets through, and the open internet does."""

import socket

import pytest

from gateway.media.addresses import check_url, may_visit
from inference.ir.errors import InvalidField

INSIDE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.255",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::10.0.0.1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "2001:db8::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "not an address",
    "",
]
OUTSIDE = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", INSIDE)
def test_what_is_inside_is_not_visited(address: str) -> None:
    assert not may_visit(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_the_open_internet_is(address: str) -> None:
    assert may_visit(address)


@pytest.mark.parametrize(
    "disguise", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0x7f.1", "017700000001"]
)
def test_numbers_in_disguise_are_what_a_resolver_makes_of_them(disguise: str) -> None:
    found = socket.getaddrinfo(disguise, 80, flags=socket.AI_NUMERICHOST)
    assert {entry[4][0] for entry in found} == {"127.0.0.1"}
    assert not any(may_visit(str(entry[4][0])) for entry in found)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("file:///etc/passwd", "no http or https"),
        ("ftp://example.com/a.png", "no http or https"),
        ("gopher://example.com", "no http or https"),
        ("http:///a", "names no host"),
        ("http://user:secret@example.com/", "user name or password"),
        ("http://example.com:22/", "port"),
        ("http://example.com:99999/", "makes no sense"),
        ("http://[::1/", "makes no sense"),
        ("http://example.com/a b", "characters"),
        ("http://example.com\\@127.0.0.1/", "characters"),
        ("http://exämple.com/", "characters"),
        ("http://example.com/" + "a" * 9000, "longer"),
    ],
)
def test_what_is_no_web_address_is_refused_without_being_repeated(url: str, says: str) -> None:
    with pytest.raises(InvalidField) as caught:
        check_url(url, param="messages[0].content[1].image_url.url")
    assert says in caught.value.message
    assert "secret" not in caught.value.message
    assert caught.value.param == "messages[0].content[1].image_url.url"


def test_a_web_address_is_taken_apart() -> None:
    parts = check_url("https://example.com:8443/a?b=c", param="p")
    assert (parts.hostname, parts.port, parts.path, parts.query) == ("example.com", 8443, "/a", "b=c")
