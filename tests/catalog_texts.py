"""Small catalogues for tests, and what becomes of them."""

import pytest

from inference.catalog import CatalogError, load_catalog
from inference.ir.cards import Catalog
from inference.yaml_source import Problem

GOOD = """\
version: 1
providers:
  a: {wire: openai, base_url: "https://a.example/v1", key: {env: A_KEY}}
  b: {wire: openai, base_url: "http://127.0.0.1:9/v1/"}
  fleet: {wire: vllm, workers: {static: ["http://10.0.0.1:8000/v1/", "http://10.0.0.2:8000"]}}
  later: {wire: anthropic, base_url: {env: L_URL}, key: {env: L_KEY}}
models:
  m:
    kind: chat
    price: {input: 0.0375, output: 2}
    aliases: [em]
    targets:
      - {provider: a, model: m-1, weight: 3}
      - {provider: b, model: m-2}
  e: {kind: embedding, price: {input: "1"}, targets: [{provider: a, model: e}]}
  w: {kind: chat, free: true, targets: [{provider: later, model: w}, {provider: b, model: w, weight: 0}]}
"""


def load(text: str, **environ: str) -> Catalog:
    return load_catalog(text, source="c.yaml", environ=environ)


def problems(text: str, **environ: str) -> list[Problem]:
    with pytest.raises(CatalogError) as caught:
        load(text, **environ)
    return list(caught.value.problems)


def lines(text: str, **environ: str) -> list[str]:
    return [str(problem) for problem in problems(text, **environ)]


def only(provider: str = "", model: str = "") -> str:
    """A file whose one provider, `p` on line 3, and one model, `m` on line 5, say this."""
    provider = provider or 'wire: openai, base_url: "http://h/v1"'
    model = model or "kind: chat, free: true, targets: [{provider: p, model: x}]"
    return f"version: 1\nproviders:\n  p: {{{provider}}}\nmodels:\n  m: {{{model}}}\n"
