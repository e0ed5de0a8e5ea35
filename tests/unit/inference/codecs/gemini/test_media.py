import pytest
from msgspec import Raw

from inference.codecs.gemini.media import Medium, read_file, read_inline, write_medium
from inference.ir.content import NO_REST, Audio, File, Image, Source, Video


def test_kinds_are_known_by_their_types() -> None:
    kinds = {"image/png": Image, "audio/wav": Audio, "video/mp4": Video, "application/pdf": File, "x/y": File}
    for kind, expected in kinds.items():
        part = read_inline(Raw(b'{"mimeType":"%b","data":"AA==","displayName":"n"}' % kind.encode()), NO_REST)
        assert isinstance(part, expected)
        assert part.rest == {"inlineData.displayName": Raw(b'"n"')}
    assert read_file(Raw(b'{"fileUri":"gs://b/x"}'), NO_REST).source == Source(url="gs://b/x")


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        (Image(source=Source(data="iVBORw0KGgoAAA")), "image/png"),
        (Image(source=Source(data="////")), "image/jpeg"),
        (Image(source=Source(data="UklGRiQAAABXRUJQVlA4")), "audio/wav"),
        (File(source=Source(data="JVBERi0x")), "application/pdf"),
        (File(source=Source(data="QUJD"), name="a.csv"), "text/csv"),
        (Image(source=Source(url="https://h/a.webp?x=1")), "image/webp"),
        (Video(source=Source(url="https://h/film")), "video/mp4"),
    ],
)
def test_a_type_is_found_where_none_is_given(part: Medium, kind: str) -> None:
    assert part.source is not None
    written = write_medium(part, part.source)
    assert kind in str(written)


def test_googles_own_files_need_none() -> None:
    part = Video(source=Source(url="https://www.youtube.com/watch?v=x"))
    assert write_medium(part, part.source) == {"fileData": {"fileUri": "https://www.youtube.com/watch?v=x"}}
