"""Mirror: the test tree must follow the source tree, both ways.

Every tests/unit/**/test_X.py stands where its source X.py (or package X/) stands, so that a test is found
from its source and none outlives it. Where one file would be too long, a folder X/ of tests takes its place.
Every source with logic has a test: of its own in tests/unit, or, for what only makes sense whole, any other
that imports it. `TESTED` names the exceptions, each with its reason.
"""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("gateway", "inference", "policies", "billing")
LOGIC = 20  # statements; below that a file is declarations, and whoever uses them tests them

# Sources with logic that no test imports, and why that is right.
TESTED: dict[str, str] = {
    "billing/intake.py": "through the drain: tests/unit/billing/drain/test_once.py",
    "billing/ledger/notes.py": "through the ledger: tests/unit/billing/ledger/test_ledger.py and test_amounts.py",
    "billing/ledger/reading.py": "through the ledger: tests/unit/billing/ledger/test_ledger.py",
    "gateway/database/alert_targets.py": "over HTTP: tests/unit/gateway/http/admin/test_budgets.py",
    "gateway/database/budget_subjects.py": "over HTTP: tests/unit/gateway/http/admin/test_budgets.py",
    "gateway/database/budgets.py": "over HTTP: tests/unit/gateway/http/admin/test_budgets.py",
    "gateway/dialects/openai_responses/open_items.py": "through their writer: "
    "tests/unit/gateway/dialects/openai_responses/test_writer.py",
    "gateway/dialects/openai_responses/output.py": "beside the writer's events: "
    "tests/unit/gateway/dialects/openai_responses/test_writer.py",
    "gateway/dialects/gemini/tool_check.py": "by every dialect's decode: "
    "tests/unit/gateway/dialects/test_tool_shapes.py",
    "gateway/dialects/openai_chat/tool_check.py": "by every dialect's decode: "
    "tests/unit/gateway/dialects/test_tool_shapes.py",
    "gateway/dialects/openai_responses/tool_check.py": "by every dialect's decode: "
    "tests/unit/gateway/dialects/test_tool_shapes.py",
    "gateway/edge/worker.py": "as processes: tests/integration/test_server_processes.py",
    "gateway/translations.py": "through sockets: tests/integration/test_exchanges_translated.py and others",
    "gateway/answer_headers.py": "through sockets: tests/integration/test_lane_upstreams.py, test_structured_header.py",
    "inference/catalog/provider_entry.py": "declarations, read through the catalogue: "
    "tests/unit/inference/catalog/test_providers.py",
    "inference/catalog/tier_entry.py": "declarations, read through the catalogue: "
    "tests/unit/inference/catalog/test_tiers.py",
    "gateway/dialects/openai_chat/content.py": "through the whole request: "
    "tests/unit/gateway/dialects/openai_chat/test_parse.py",
    "gateway/dialects/openai_chat/messages.py": "through the whole request: "
    "tests/unit/gateway/dialects/openai_chat/test_parse.py",
    "gateway/dialects/openai_chat/settings.py": "through the whole request: "
    "tests/unit/gateway/dialects/openai_chat/test_parse.py",
    "gateway/dialects/openai_chat/tools.py": "through the whole request: "
    "tests/unit/gateway/dialects/openai_chat/test_parse.py",
    "inference/providers/bedrock/media.py": "through the whole request: "
    "tests/unit/inference/providers/bedrock/test_converse_request.py",
    "inference/providers/bedrock/model_fields.py": "through the whole request: "
    "tests/unit/inference/providers/bedrock/test_converse_request.py",
    "inference/providers/bedrock/tools.py": "through the whole request: "
    "tests/unit/inference/providers/bedrock/test_converse_request.py",
    "inference/providers/bedrock/writing.py": "through the whole request: "
    "tests/unit/inference/providers/bedrock/test_converse_request.py",
    "inference/providers/cohere/chat_messages.py": "through the whole request: "
    "tests/unit/inference/providers/cohere/test_chat_request.py",
    "inference/providers/gemini/answers.py": "shapes, read through streams: "
    "tests/unit/inference/providers/gemini/test_chat_stream.py",
    "inference/providers/mistral/answers.py": "on recorded answers: tests/recorded/test_openai_chat_calls.py",
    "inference/providers/mistral/messages.py": "through the whole request: "
    "tests/unit/inference/providers/mistral/test_request.py",
    "inference/providers/openai/chat_answer.py": "through whole answers: "
    "tests/unit/inference/providers/openai/test_chat_completion.py",
    "inference/providers/openai/chat_chunk.py": "through streams: "
    "tests/unit/inference/providers/openai/test_chat_stream.py",
    "inference/providers/openai/chat_messages.py": "through the whole request: "
    "tests/unit/inference/providers/openai/test_chat_request.py",
    "inference/providers/openai/chat_parts.py": "through the whole request: "
    "tests/unit/inference/providers/openai/test_chat_request.py",
    "inference/providers/openai/chat_tools.py": "through the whole request: "
    "tests/unit/inference/providers/openai/test_chat_request.py",
    "gateway/http/admin/question.py": "over HTTP: tests/unit/gateway/http/admin/test_usage.py and test_reports.py",
    "gateway/http/openapi_bodies.py": "in the document: tests/integration/test_openapi.py",
    "gateway/http/files.py": "through a socket: tests/integration/test_files_route.py",
    "gateway/http/batches.py": "by the official SDK: tests/contract/test_openai_batches.py",
    "gateway/batches/run.py": "through its worker: tests/unit/gateway/batches/test_worker.py",
    "gateway/batches/intake.py": "over HTTP: tests/integration/test_batches_route.py",
    "gateway/http/responses.py": "by the official SDK: tests/contract/test_openai_responses.py",
    "gateway/http/models.py": "through a socket: tests/integration/test_models_route.py",
    "gateway/http/model_objects.py": "through a socket, in each form: tests/integration/test_models_route.py",
    "gateway/http/openapi.py": "against what is served: tests/integration/test_openapi.py",
    "gateway/pipeline.py": "whole, through sockets: tests/integration/test_lane_*.py and test_errors*.py",
    "gateway/wiring.py": "it joins everything: every test that starts a gateway",
    "gateway/database/migrations/env.py": "alembic runs it: every database test migrates first",
    "policies/stores/desk.py": "through the store: tests/unit/policies/stores/test_allotted.py",
    "policies/stores/shares.py": "through the store: tests/unit/policies/stores/test_allotted.py",
    "inference/local/training/train.py": "needs torch; the model it makes is examined word for word over HTTP",
}


def statements(path: Path) -> int:
    """Statements that do something: not imports, docstrings, or annotated fields without a default."""
    declarations = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.Pass)
    count = 0
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.stmt) or isinstance(node, declarations):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.AnnAssign) and node.value is None:
            continue
        count += 1
    return count


def imported(tests: list[Path]) -> set[str]:
    """Every module a test imports, by dotted name; `from a import b` counts for a and for a.b."""
    names: set[str] = set()
    for path in tests:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
                names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def strays(unit: Path) -> list[str]:
    """Unit tests that mirror no source."""
    lines: list[str] = []
    for test in sorted(unit.rglob("test_*.py")):
        where = test.relative_to(unit)
        source = where.with_name(where.name.removeprefix("test_"))
        stands = (source, source.with_suffix("") / "__init__.py", where.parent.with_suffix(".py"))
        if not any((ROOT / each).exists() for each in stands):
            lines.append(f"{test.relative_to(ROOT)}: there is no {source}")
    return lines


def untested(unit: Path, names: set[str]) -> list[str]:
    """Sources with logic that no test is for."""
    lines: list[str] = []
    for package in PACKAGES:
        for source in sorted((ROOT / package).rglob("*.py")):
            where = source.relative_to(ROOT)
            parts = where.with_suffix("").parts
            module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            mirrored = (unit / where.with_name(f"test_{where.name}")).exists()
            mirrored = mirrored or any((unit / where.with_suffix("")).glob("test_*.py"))
            if mirrored or module in names or str(where) in TESTED:
                continue
            if "versions" not in parts and statements(source) > LOGIC:
                lines.append(f"{where}: {statements(source)} statements and no test")
    return lines


def main() -> None:
    """Print what does not match; exit 1 if anything."""
    unit = ROOT / "tests" / "unit"
    wrong = strays(unit) + untested(unit, imported(sorted((ROOT / "tests").rglob("*.py"))))
    gone = [name for name in TESTED if not (ROOT / name).exists()]
    wrong += [f"tools/mirror.py: {name} is excused and not there" for name in gone]
    for name, reason in TESTED.items():
        print(f"excused: {name}: {reason}")
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
