import pytest
from msgspec import Raw

from inference.codecs.gemini.reading import CallIds, read_part
from inference.ir.content import Family, Opaque, Reasoning, Text, ToolCall, ToolResult


def read(text: str, ids: CallIds | None = None) -> object:
    return read_part(Raw(text.encode()), ids or CallIds())


def test_texts_thoughts_and_signatures() -> None:
    assert read('{"text":"a"}') == Text(text="a")
    assert read('{"text":"a","thought":true,"thoughtSignature":"s"}') == Reasoning(
        text="a", signature="s", issuer=Family.GEMINI
    )
    assert read('{"text":"a","partMetadata":{"x":1}}') == Text(
        text="a", rest={"partMetadata": Raw(b'{"x":1}')}
    )


def test_arguments_stay_as_the_model_wrote_them() -> None:
    call = read('{"functionCall":{"name":"f","args":{"a" : 1.0}},"thoughtSignature":"s"}')
    assert isinstance(call, ToolCall)
    assert (call.arguments, call.signature) == ('{"a" : 1.0}', "s")
    assert isinstance(nothing := read('{"functionCall":{"name":"f"}}'), ToolCall)
    assert nothing.arguments == "{}"


def test_calls_without_ids_get_theirs_by_place_and_results_find_them() -> None:
    ids = CallIds()
    first = read('{"functionCall":{"name":"f"}}', ids)
    second = read('{"functionCall":{"name":"f"}}', ids)
    third = read('{"functionCall":{"id":"own","name":"g"}}', ids)
    assert isinstance(first, ToolCall) and isinstance(second, ToolCall) and isinstance(third, ToolCall)
    assert first.id != second.id
    assert third.id == "own"
    results = [
        read('{"functionResponse":{"name":"%s","response":{}}}' % name, ids)  # noqa: UP031 - braces
        for name in ("g", "f", "f")
    ]
    assert [r.call_id for r in results if isinstance(r, ToolResult)] == ["own", first.id, second.id]
    with pytest.raises(KeyError):
        read('{"functionResponse":{"name":"f","response":{}}}', ids)
    assert CallIds("r1").call("f", None) != CallIds("r2").call("f", None)


@pytest.mark.parametrize(
    ("response", "text", "error"),
    [
        ('{"output":"plain"}', "plain", False),
        ('{"error":"no"}', "no", True),
        ('{"output":"{\\"a\\":1}"}', '{"output":"{\\"a\\":1}"}', False),
        ('{"output":7}', '{"output":7}', False),
        ('{"celsius": 31}', '{"celsius": 31}', False),
    ],
)
def test_answers_of_functions(response: str, text: str, error: bool) -> None:
    part = read('{"functionResponse":{"id":"c","name":"f","response":' + response + "}}")
    assert isinstance(part, ToolResult)
    assert part.content == (Text(text=text),)
    assert part.error is error


def test_what_only_gemini_knows_is_kept_whole() -> None:
    raw = '{"executableCode":{"language":"PYTHON","code":"1"},"thoughtSignature":"s"}'
    assert read(raw) == Opaque(family=Family.GEMINI, kind="executableCode", raw=Raw(raw.encode()))
