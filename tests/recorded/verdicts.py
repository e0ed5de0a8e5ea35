"""Verdicts: what was found out about one recorded call, feature by feature. Refuses to know how it is found out."""

import traceback
from collections.abc import Callable
from enum import StrEnum

import pytest
from msgspec import Struct


class Verdict(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    UNSUPPORTED = "unsupported"


class Finding(Struct, frozen=True):
    """`reason` says why, unless it passed."""

    feature: str
    verdict: Verdict = Verdict.PASSED
    reason: str = ""


class Unsupported(Exception):
    """What a call needs is not offered; its words say what."""


def judged(features: tuple[str, ...], compare: Callable[[], object]) -> list[Finding]:
    """One comparison is one verdict on every feature it is about: where it fails, all of them have failed."""
    try:
        compare()
    except Unsupported as error:
        return [Finding(feature, Verdict.UNSUPPORTED, str(error)) for feature in features]
    except (Exception, pytest.fail.Exception) as error:
        return [Finding(feature, Verdict.FAILED, told(error)) for feature in features]
    return [Finding(feature) for feature in features]


def told(error: BaseException) -> str:
    """A failure in one line: where it was noticed, and what was said."""
    frames = [each for each in traceback.extract_tb(error.__traceback__) if "/tests/" in each.filename]
    line = (frames[-1].line or "").strip() if frames else ""
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {line} {words}"[:300]
