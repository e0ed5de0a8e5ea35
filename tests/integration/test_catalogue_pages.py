"""What the pages say to write into the catalogue: pasted into the shipped one, it reads and is there."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from inference.catalog import load_catalog
from tests.harness import ROOT

SHIPPED = (ROOT / "config" / "models.yaml").read_text()
SECTIONS = ("providers", "models", "tiers")
PAGES = ("README.md", "docs/vllm.md", "docs/providers.md", "docs/tiers.md")


def blocks() -> Iterator[tuple[str, str]]:
    """Each block of each page that is rows for the catalogue, but for the one whose wire format the guide makes up."""
    for page in PAGES:
        for block in re.findall(r"^```yaml\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL):
            if "wire: parrot" not in block:
                yield page, block


def pasted(block: str) -> str:
    """The shipped catalogue with a block's rows, each under the section that is there."""
    text = SHIPPED
    for section in SECTIONS:
        rows = re.search(rf"^{section}:\n((?:[ #].*\n|\n)+)", block, re.MULTILINE)
        if rows is not None:
            text, times = re.subn(
                rf"^{section}:\n",
                lambda head, rows=rows[1]: head[0] + rows,
                text,
                count=1,
                flags=re.MULTILINE,
            )
            assert times == 1
    return text


@pytest.mark.parametrize(("page", "block"), [pytest.param(*each, id=each[0]) for each in blocks()])
def test_a_block_of_a_page_works_when_pasted(page: str, block: str) -> None:
    rows: dict[str, Any] = yaml.safe_load(block)
    assert set(rows) <= set(SECTIONS)
    catalog = load_catalog(pasted(block), source="models.yaml", environ={})
    for model in rows.get("models", {}):
        assert model in catalog.models
    for tier in rows.get("tiers", {}):
        assert tier in catalog.tiers


def test_each_page_has_such_a_block() -> None:
    assert {page for page, _ in blocks()} == set(PAGES)
