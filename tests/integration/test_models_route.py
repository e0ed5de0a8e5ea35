"""GET /v1/models: what a key may use now, by every name it has."""

from typing import Any

from tests.harness import GatewayProcess, VirtualKey


def listed(gateway: GatewayProcess, key: VirtualKey) -> dict[str, dict[str, Any]]:
    answer = gateway.http.get(f"{gateway.base_url}/models", headers=key.bearer)
    assert answer.status_code == 200
    assert answer.json()["object"] == "list"
    return {model["id"]: model for model in answer.json()["data"]}


def test_the_list_has_every_name_that_can_be_asked_for(gateway: GatewayProcess, key: VirtualKey) -> None:
    models = listed(gateway, key)
    assert {"patched", "patched-too", "free", "embed", "events-8"} <= models.keys()
    assert "switched-off" not in models, "its provider has no key"
    assert models["patched-too"]["alias_of"] == "patched"
    assert models["patched"]["alias_of"] is None
    assert models["patched"]["description"] == "With another name."
    assert models["patched"]["pricing"] == {"input": "0.5", "output": "1.5", "cache_read": "0.05"}
    assert models["free"]["pricing"] == {"input": "0", "output": "0"}
    assert models["embed"]["kind"] == "embedding"
    assert all(model["object"] == "model" and model["owned_by"] for model in models.values())
    assert list(models) == sorted(models)


def test_a_key_sees_only_what_it_may_use(gateway: GatewayProcess) -> None:
    key = gateway.new_key(models=["free", "status-4*", "patched-too"])
    models = listed(gateway, key)
    assert {"free", "status-400", "status-429", "patched-too"} <= models.keys()
    assert not models.keys() & {"events-8", "embed", "status-500", "patched"}
    hidden = gateway.http.get(f"{gateway.base_url}/models/events-8", headers=key.bearer)
    assert hidden.status_code == 404
    assert hidden.json()["error"]["code"] == "model_not_found"


def test_one_model_and_none(gateway: GatewayProcess, key: VirtualKey) -> None:
    answer = gateway.http.get(f"{gateway.base_url}/models/patched-too", headers=key.bearer)
    assert answer.status_code == 200
    assert answer.json() == listed(gateway, key)["patched-too"]
    for name in ("nobody", "switched-off", "a/b/c"):
        missing = gateway.http.get(f"{gateway.base_url}/models/{name}", headers=key.bearer)
        assert missing.status_code == 404, name
        assert missing.json()["error"]["param"] == "model"


def test_a_model_with_slashes_in_its_name(gateway: GatewayProcess, key: VirtualKey) -> None:
    entry = {"kind": "chat", "free": True, "targets": [{"provider": "fake", "model": "events-8"}]}
    gateway.configure(models={"org/name:tag": entry})
    for path in ("org/name:tag", "org%2Fname%3Atag"):
        answer = gateway.http.get(f"{gateway.base_url}/models/{path}", headers=key.bearer)
        assert (answer.status_code, answer.json()["id"]) == (200, "org/name:tag")


def test_a_model_added_to_the_file_is_there_after_a_reload(gateway: GatewayProcess, key: VirtualKey) -> None:
    assert "newcomer" not in listed(gateway, key)
    entry = {"kind": "chat", "free": True, "targets": [{"provider": "fake", "model": "events-8"}]}
    gateway.configure(models={"newcomer": entry})
    assert "newcomer" in listed(gateway, key)


def test_googles_sdk_is_answered_in_its_form(gateway: GatewayProcess, key: VirtualKey) -> None:
    for header in ("x-goog-api-client", "x-goog-api-key"):
        headers = {header: key.text} if "key" in header else {header: "google-genai-sdk/3", **key.bearer}
        listed = gateway.http.get(f"{gateway.base_url}/models", headers=headers).json()
        assert "models/patched" in [model["name"] for model in listed["models"]]
        one = gateway.http.get(f"{gateway.base_url}/models/patched", headers=headers).json()
        assert one == next(model for model in listed["models"] if model["name"] == "models/patched")
    none = gateway.http.get(f"{gateway.base_url}/models", headers={"x-goog-api-key": "ask-no-key"})
    assert (none.status_code, none.json()["error"]["status"]) == (401, "UNAUTHENTICATED")


def test_anthropics_sdk_is_answered_in_its_form(gateway: GatewayProcess, key: VirtualKey) -> None:
    headers = {"anthropic-version": "2023-06-01", "x-api-key": key.text}
    page = gateway.http.get(f"{gateway.base_url}/models", headers=headers).json()
    names = [model["id"] for model in page["data"]]
    assert (page["first_id"], page["last_id"], page["has_more"]) == (names[0], names[-1], False)
    one = gateway.http.get(f"{gateway.base_url}/models/patched", headers=headers).json()
    assert one == next(model for model in page["data"] if model["id"] == "patched")
    assert (one["type"], one["display_name"]) == ("model", "patched")
    missing = gateway.http.get(f"{gateway.base_url}/models/nobody", headers=headers)
    assert (missing.status_code, missing.json()["error"]["type"]) == (404, "not_found_error")
    other = gateway.http.get(f"{gateway.base_url}/models/patched", headers={"x-api-key": key.text}).json()
    assert other["object"] == "model", "a key's place alone tells nothing of whose SDK asks"
