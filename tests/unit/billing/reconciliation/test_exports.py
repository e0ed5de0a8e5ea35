"""Providers' exports: every shape that is known, read whole; every slip told with its place."""

import json
from typing import Any

import pytest

from billing.reconciliation.compare import Counted
from billing.reconciliation.exports import read_export
from inference.ir.errors import InvalidField


def openai_page(*buckets: tuple[int, list[dict[str, Any]]], **fields: Any) -> dict[str, Any]:
    """As the usage API answers."""
    return {
        "object": "page",
        "data": [
            {
                "object": "bucket",
                "start_time": start,
                "end_time": start + 86_400,
                "results": [
                    {"object": "organization.usage.completions.result", "project_id": None, **result}
                    for result in results
                ],
            }
            for start, results in buckets
        ],
        "has_more": False,
        "next_page": None,
        **fields,
    }


DAY_ONE, DAY_TWO = 1_730_419_200, 1_730_505_600
USED: dict[str, Any] = {
    "input_tokens": 1000,
    "output_tokens": 500,
    "input_cached_tokens": 800,
    "num_model_requests": 5,
    "model": "gpt-4o-2024-08-06",
}


def plain(counted: Counted) -> tuple[object, ...]:
    tally = counted.tally
    return (
        counted.model,
        counted.day,
        tally.input_tokens,
        tally.output_tokens,
        tally.requests,
        tally.cost_nano,
    )


def test_openais_usage() -> None:
    found = read_export(json.dumps(openai_page((DAY_ONE, [USED]), (DAY_TWO, []))))
    # Cached tokens are part of the input, as in our own records.
    assert [plain(one) for one in found] == [("gpt-4o-2024-08-06", "2024-11-01", 1000, 500, 5, None)]


@pytest.mark.parametrize("shape", ["list", "lines", "indented"])
def test_several_pages(shape: str) -> None:
    pages = [openai_page((DAY_ONE, [USED]), has_more=True), openai_page((DAY_TWO, [USED, USED]))]
    if shape == "list":
        text = json.dumps(pages)
    elif shape == "lines":
        text = "\n".join(json.dumps(page) for page in pages) + "\n"
    else:
        text = json.dumps(pages, indent=2)
    assert [one.day for one in read_export(text)] == ["2024-11-01", "2024-11-02", "2024-11-02"]


def test_embeddings_have_no_output() -> None:
    result = {"input_tokens": 16, "num_model_requests": 2, "model": "text-embedding-3-small"}
    assert read_export(json.dumps(openai_page((DAY_ONE, [result]))))[0].tally.output_tokens == 0


def test_anthropics_usage() -> None:
    page = {
        "data": [
            {
                "starting_at": "2026-08-01T00:00:00Z",
                "ending_at": "2026-08-02T00:00:00Z",
                "results": [
                    {
                        "uncached_input_tokens": 1500,
                        "cache_creation": {
                            "ephemeral_1h_input_tokens": 1000,
                            "ephemeral_5m_input_tokens": 500,
                        },
                        "cache_read_input_tokens": 200,
                        "output_tokens": 500,
                        "server_tool_use": {"web_search_requests": 10},
                        "model": "claude-opus-4-20250514",
                        "service_tier": "standard",
                    }
                ],
            }
        ],
        "has_more": False,
        "next_page": None,
    }
    [found] = read_export(json.dumps(page))
    assert plain(found) == ("claude-opus-4-20250514", "2026-08-01", 3200, 500, None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "date,model,input tokens,output tokens,cost\n2026-01-31,m,10,20,0.000123456789\n",
            ("m", "2026-01-31", 10, 20, None, 123457),
        ),
        (
            '\ufeffModel,Prompt_Tokens,Completion-Tokens,Requests,Date\r\nm,"1,000",2.0,3,2026-01-31T23:00:00-05:00\r\n',
            ("m", "2026-02-01", 1000, 2, 3, None),
        ),
        (
            "usage_date_utc,model_version,api_key,usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,"
            "usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens\n"
            "2026-01-01,claude-x,prod,1,2,4,8,16\n",
            ("claude-x", "2026-01-01", 15, 16, None, None),
        ),
        (
            "start_time,end_time,model,input_tokens,output_tokens,num_model_requests\n"
            "1730419200,1730505600,gpt-x,7,8,9\n",
            ("gpt-x", "2024-11-01", 7, 8, 9, None),
        ),
        ("model,input_tokens,output_tokens,cost_usd\nm,,-,$1.5\n", ("m", None, 0, 0, None, 1_500_000_000)),
    ],
    ids=["generic", "excel", "anthropic console", "openai", "without dates"],
)
def test_csv(text: str, expected: tuple[object, ...]) -> None:
    [found] = read_export(text)
    assert plain(found) == expected


def test_lines_without_a_value_are_no_lines() -> None:
    assert len(read_export("date,model,input_tokens,output_tokens\n2026-01-01,m,1,2\n,,,\n\n")) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("{}", "no usage report that is known"),
        ("[1, 2]", "no usage report that is known"),
        ('{"start_time": 1, "data": [', "truncated"),
        ('{"data": [{"start_time": 1, "results": [{"input_tokens": -1}]}]}', "-1|>= 0"),
        ('{"data": [{"start_time": 1, "results": [{"input_tokens": 1.5}]}]}', "int"),
        ('{"data": [{"start_time": 1, "results": []}]}', "no usage at all"),
        ('{"data": [{"start_time": 99999999999999, "results": [{}]}]}', "unix seconds"),
        (json.dumps(openai_page((DAY_ONE, [USED]), has_more=True)), "has_more"),
        ("a,b,c\n1,2,3\n", "no column for model: model"),
        ("date,model,input_tokens,output_tokens\n2026-01-01,m,-5,1\n", "line 2: input_tokens is '-5'"),
        ("date,model,input_tokens,output_tokens\n2026-01-01,m,1,1.5\n", "line 2: output_tokens is '1.5'"),
        ("date,model,input_tokens,output_tokens\n2026-01-01,m,1,NaN\n", "NaN"),
        ("date,model,input_tokens,output_tokens\n2026-01-01,m,1,99999999999999999999\n", "whole number"),
        ("date,model,input_tokens,output_tokens\n31/01/2026,m,1,1\n", "line 2: the date is '31/01/2026'"),
        ("model,input_tokens,output_tokens,cost\nm,1,1,-2\n", "line 2: the cost is '-2'"),
        ("model,input_tokens,output_tokens,cost\nm,1,1,Infinity\n", "the cost is"),
        ("model,input_tokens,output_tokens,cost\nm,1,1,1e30\n", "the cost is"),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidField, match=words):
        read_export(text)
