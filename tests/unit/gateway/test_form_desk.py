"""Forms taken in: the same of one that is held and of one that is not."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.admission import Admission
from gateway.edge.spool import Spool, Spools, Stored
from gateway.form_desk import FormDesk
from inference.codecs.form import Field
from inference.ir.bulk import Data
from inference.ir.errors import BadRequest
from tests.bulk import Tally, form_of
from tests.fake_edge import FakeEdge

FORM = form_of([Field(name="model", value=b"m"), Field(name="file", value=b"x" * 9000, filename="a")], "b")


class UploadEdge(FakeEdge):
    """An edge whose upload is there already."""

    def __init__(self, body: Data, boundary: bytes) -> None:
        super().__init__(headers=[(b"content-type", b"multipart/form-data; boundary=" + boundary)])
        self._upload = body

    async def upload(self) -> Any:
        return self._upload


@pytest.fixture
def spools(tmp_path: Path) -> Iterator[Spools]:
    made = Spools(tmp_path, over=1, total=1 << 20, refused=Tally())
    yield made
    made.close()


@pytest.fixture
def desk(spools: Spools) -> FormDesk:
    return FormDesk(spools, cast(Admission, None))  # what is received is admitted later


@pytest.mark.parametrize("large", [False, True])
async def test_what_came_is_read_where_it_lies(desk: FormDesk, spools: Spools, large: bool) -> None:
    spool = Spool(spools)
    await spools.write(spool, bytearray(FORM))
    body = Stored(spool, 0, spool.size) if large else FORM
    form, content_type = await desk.receive(UploadEdge(body, b"b"))
    assert content_type == "multipart/form-data; boundary=b"
    assert (form.text("model"), form.value(form.parts[1])[:]) == ("m", b"x" * 9000)
    with pytest.raises(BadRequest, match="boundary"):
        await desk.receive(UploadEdge(body, b"another"))
    spool.close()


async def test_a_large_one_is_not_read_in_the_loops_own_thread(desk: FormDesk, spools: Spools) -> None:
    readers: set[int] = set()

    class Watched(Stored):
        def __getitem__(self, place: slice) -> bytes:
            if place.stop is not None and place.stop > 1000:  # its first line is
                readers.add(threading.get_ident())
            return super().__getitem__(place)

    spool = Spool(spools)
    await spools.write(spool, bytearray(FORM))
    await desk.receive(UploadEdge(Watched(spool, 0, spool.size), b"b"))
    assert readers
    assert threading.get_ident() not in readers
    spool.close()
