"""Conformance: every recorded call, feature by feature, as the table that `docs/conformance.md` is.

`python -m tests.recorded.test_conformance` writes that page anew.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from tests.recorded.calls import RECORDED, Recorded, calls
from tests.recorded.surfaces import surface_of
from tests.recorded.translating import CLIENTS
from tests.recorded.verdicts import Finding, Verdict

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
LEAST = 0.99
"""The share of the calls on spoken surfaces that has to pass."""
FEATURES = (
    "text",
    "streamed text",
    "tools",
    "streamed tools",
    "parallel tools",
    "reasoning",
    "signatures",
    "citations",
    "refusals",
    "hosted tools",
    "several answers",
    "finish",
    "usage",
    "cached usage",
    "request",
    "tools offered",
    "tool results",
    "images in",
    "audio and files in",
    "structured output",
    "legacy completions",
    "counts of tokens",
    "embeddings",
    "rerank",
    "pictures made",
    "errors",
    *(f"{way} {family}" for way in ("asked of", "to") for family in CLIENTS),
)
HEAD = """\
# Conformance

{recorded:,} calls that public projects recorded at real providers go through the gateway's readers and writers, and are
held against what the providers' own SDKs make of the same bytes. This page is what came of it; `tests/recorded` makes
it, checks that it is up to date, and cuts the same streams at every byte beside.

**{passed:,} of {spoken:,} calls on the surfaces that are spoken pass: {share:.2%}.** Of all {recorded:,} recorded calls
that is {whole:.2%}; the others are listed below by address, with the reason.

A call passes when nothing about it fails. One comparison covers everything an answer says, so where it fails, every
feature the answer shows counts as failed:

* an answer is read, and written again for a client of the same dialect: text, calls of tools with their arguments,
  thoughts, signatures, citations, the reason to stop and every count are what the SDK reads;
* a request is read by the dialect of its family and written again: nothing is lost, nothing is added;
* `to ...`: each answer is told to a client of every other dialect and read back by that family's reader: text,
  thoughts, names and arguments of tools, reason and counts survive, and what the dialect has no words for is named as
  dropped;
* `asked of ...`: each request is written for a provider of every other family, valid by OpenAI's and Anthropic's own
  types, and read back: the turns with their texts, pictures, calls and results, and the tools; what the other format
  has no words for is refused, or named as dropped, and counts as unsupported;
* a refusal keeps the provider's status and words, in the shape of each dialect; of a model that is not there only the
  words, for it is the catalogue that is wrong.
"""


class Sheet(Struct, kw_only=True):
    """What was found out, counted."""

    calls: Counter[tuple[str, Verdict]]
    features: Counter[tuple[str, str, Verdict]]
    unspoken: Counter[tuple[str, str, str]]
    partly: Counter[tuple[str, str, str]]
    failures: list[tuple[str, str, str]]

    @property
    def providers(self) -> list[str]:
        return sorted({provider for provider, _ in self.calls})

    def count(self, verdict: Verdict) -> int:
        """Calls of every provider."""
        return sum(number for (_, found), number in self.calls.items() if found is verdict)

    def share(self) -> float:
        """Of the calls on spoken surfaces, those that pass."""
        passed = self.count(Verdict.PASSED)
        return passed / (passed + self.count(Verdict.FAILED))


def examined() -> Sheet:
    """Every recorded call; skips where there are none."""
    sheet = Sheet(calls=Counter(), features=Counter(), unspoken=Counter(), partly=Counter(), failures=[])
    for call in every_call():
        surface = surface_of(call)
        found = surface.findings(call)
        verdict = verdict_of(found)
        sheet.calls[call.provider, verdict] += 1
        if surface.judge is None:
            sheet.unspoken[call.provider, surface.path.rstrip("$"), surface.why] += 1
            continue
        for each in found:
            sheet.features[each.feature, call.provider, each.verdict] += 1
            if each.verdict is Verdict.FAILED:
                sheet.failures.append((call.label, each.feature, each.reason))
            elif each.verdict is Verdict.UNSUPPORTED:
                sheet.partly[call.provider, each.feature, each.reason] += 1
    return sheet


def every_call() -> Iterator[Recorded]:
    names = sorted(file.stem for file in RECORDED.glob("*.jsonl"))
    if not names:
        pytest.skip("the recorded provider traffic is not beside the project")
    for name in names:
        yield from calls(name)


def verdict_of(found: Iterable[Finding]) -> Verdict:
    """Of a whole call: one failure is enough; it is unsupported where nothing of it could be tried."""
    verdicts = {each.verdict for each in found}
    if Verdict.FAILED in verdicts:
        return Verdict.FAILED
    return Verdict.PASSED if Verdict.PASSED in verdicts else Verdict.UNSUPPORTED


# the page


def page(sheet: Sheet) -> str:
    """All of it in Markdown."""
    passed = sheet.count(Verdict.PASSED)
    recorded = sum(sheet.calls.values())
    head = HEAD.format(
        recorded=recorded,
        passed=passed,
        spoken=passed + sheet.count(Verdict.FAILED),
        share=sheet.share(),
        whole=passed / recorded,
    )
    return "\n".join(
        [
            head,
            "## Calls\n",
            *table(("provider", "passed", "failed", "unsupported"), call_rows(sheet)),
            "\n## Features\n",
            "How many calls show a feature and pass. ✗: so many fail; –: so many are unsupported.\n",
            *table(("feature", *sheet.providers), feature_rows(sheet)),
            "\n## Not supported\n",
            *table(("provider", "address", "calls", "why"), unspoken_rows(sheet)),
            "\nAnd of calls on spoken surfaces:\n",
            *table(("provider", "feature", "calls", "why"), partly_rows(sheet)),
            "\n## Failed\n",
            *(failure_lines(sheet) or ["None."]),
            "",
        ]
    )


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    names = list(head)
    yield f"| {' | '.join(names)} |"
    yield "|" + "---|" * len(names)
    for row in rows:
        yield f"| {' | '.join(str(each) for each in row)} |"


def call_rows(sheet: Sheet) -> Iterator[list[object]]:
    for provider in sheet.providers:
        yield [provider, *(sheet.calls[provider, verdict] for verdict in Verdict)]
    yield ["**all**", *(sheet.count(verdict) for verdict in Verdict)]


def feature_rows(sheet: Sheet) -> Iterator[list[str]]:
    for feature in FEATURES:
        yield [feature, *(cell(sheet, feature, provider) for provider in sheet.providers)]


def cell(sheet: Sheet, feature: str, provider: str) -> str:
    passed, failed, unsupported = (sheet.features[feature, provider, verdict] for verdict in Verdict)
    marks = [str(passed)] if passed else []
    marks += [f"✗{failed}"] if failed else []
    marks += [f"–{unsupported}"] if unsupported else []
    return " ".join(marks)


def unspoken_rows(sheet: Sheet) -> Iterator[list[object]]:
    for (provider, path, why), number in sorted(sheet.unspoken.items()):
        yield [provider, f"`{path}`".replace("|", "\\|"), number, why]


def partly_rows(sheet: Sheet) -> Iterator[list[object]]:
    for (provider, feature, why), number in sorted(sheet.partly.items()):
        yield [provider, feature, number, why]


def failure_lines(sheet: Sheet) -> list[str]:
    return [f"* {label}, {feature}: {reason}" for label, feature, reason in sheet.failures]


# the tests


@pytest.fixture(scope="module")
def sheet() -> Sheet:
    return examined()


def test_the_recorded_calls_pass(sheet: Sheet) -> None:
    print(page(sheet))
    assert sheet.share() >= LEAST, "\n".join(failure_lines(sheet))


def test_every_feature_has_its_place_in_the_table_and_something_to_show(sheet: Sheet) -> None:
    assert {feature for feature, _, _ in sheet.features} == set(FEATURES)


def test_the_page_is_up_to_date(sheet: Sheet) -> None:
    written = PAGE.read_text()
    assert written == page(sheet), "make it anew: python -m tests.recorded.test_conformance"


if __name__ == "__main__":
    PAGE.write_text(page(examined()))
