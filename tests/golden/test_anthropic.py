"""Translations from and to Anthropic's Messages as a reviewer reads them; each file in `anthropic/` is one case.

The sections are those of `test_openai_chat.py`. `python -m tests.golden.test_anthropic` writes down what comes out, to
be read before it is committed.
"""

from pathlib import Path

import pytest

from tests.golden.test_openai_chat import sections, translated

CASES = sorted((Path(__file__).parent / "anthropic").glob("*.txt"))
TITLES = ("client asks", "upstream is asked", "upstream says", "client hears", "dropped")


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_translations_are_as_they_were_read(path: Path) -> None:
    case = sections(path.read_text())
    for title, said in translated(case).items():
        assert said == case.get(title, ""), title


def main() -> None:
    """Write every case anew."""
    for path in CASES:
        text = path.read_text()
        case = sections(text)
        case |= translated(case)
        told = [f"\n== {title}\n{case[title]}\n" for title in TITLES if case.get(title)]
        path.write_text(text.split("\n== ", 1)[0] + "".join(told))


if __name__ == "__main__":
    main()
