"""Causes: why a provider refuses a request, as one word each, whatever its own code for it. Pure.

Known by codes and types, not by the words of a message: those change, and nobody promises them. A provider that has
only words for a cause is not guessed at; its refusal is `upstream_refused`, its words are kept. One cause is worth an
exception, `inference/codecs/overflow.py`.
"""

from enum import StrEnum


class Cause(StrEnum):
    """The codes of refusals that clients see; docs/errors.md has them all."""

    CONTEXT = "context_length_exceeded"
    POLICY = "content_policy_violation"
    MODEL = "upstream_model_not_found"
    UNPAID = "insufficient_quota"
    MISSING = "missing_field"
    VALUE = "invalid_value"
    PARAMETER = "unsupported_parameter"
    TOOL = "invalid_tool"
    IMAGE = "invalid_image"
    MEDIA = "media_unreachable"
    PREVIOUS = "previous_response_not_found"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    TOO_LARGE = "request_too_large"
    KIND = "unsupported_media_type"


_WORDS: dict[Cause, str] = {
    # OpenAI, and who took over its words (https://platform.openai.com/docs/guides/error-codes);
    # `exceed_context_size_error` is llama.cpp's, `1261` z.ai's
    Cause.CONTEXT: "context_length_exceeded context_window_exceeded model_context_window_exceeded "
    "max_tokens_exceeded request_too_long exceed_context_size_error 1261",
    # `content_filter` and `responsibleaipolicyviolation` are Azure's, `content_moderation` Stability's, `1301` z.ai's
    Cause.POLICY: "content_policy_violation content_filter responsibleaipolicyviolation moderation_blocked "
    "content_moderation content_blocked invalid_prompt cyber_policy_violation image_content_policy_violation "
    "sensitive_content data_inspection_failed 1301",
    # `deploymentnotfound` is Azure's, `notfounderror` vLLM's, `invalid_model` Mistral's, `1211` z.ai's
    Cause.MODEL: "model_not_found deploymentnotfound notfounderror invalid_model unknown_model model_not_available "
    "model_decommissioned model_not_exist model_terms_required operationnotsupported 1211",
    Cause.UNPAID: "insufficient_quota billing_hard_limit_reached billing_not_active insufficient_balance "
    "credit_limit_exceeded account_overdue 1113",
    Cause.MISSING: "missing_required_parameter missing_required_field missing_field missing",
    Cause.VALUE: "invalid_value invalid_type invalid_parameter unsupported_value wrong_type "
    "decimal_below_min_value decimal_above_max_value integer_below_min_value integer_above_max_value "
    "string_above_max_length string_below_min_length array_above_max_length array_below_min_length "
    "invalid_string_length invalid_json_schema invalid_schema property_value_error json_validate_failed",
    Cause.PARAMETER: "unsupported_parameter unknown_parameter unrecognized_parameter invalid_parameter_name",
    Cause.TOOL: "invalid_function_parameters invalid_function_name duplicate_function_name tool_use_failed",
    Cause.IMAGE: "invalid_image invalid_image_format invalid_base64_image invalid_base64 image_parse_error "
    "empty_image_file image_file_too_large image_too_large image_too_small unsupported_image_media_type "
    "invalid_image_mode image_file_not_found",
    Cause.MEDIA: "invalid_image_url failed_to_download_image",
    Cause.PREVIOUS: "previous_response_not_found",
    Cause.TOO_LARGE: "request_too_large",
}
_CAUSES = {word: cause for cause, words in _WORDS.items() for word in words.split()}
_BY_STATUS = {
    404: Cause.NOT_FOUND,
    409: Cause.CONFLICT,
    413: Cause.TOO_LARGE,
    415: Cause.KIND,
}
_STATUSES = {
    "invalid_request_error": 400,
    "invalid_request": 400,
    "badrequesterror": 400,
    "validation": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "rate_limited": 429,
    "too_many_requests": 429,
    "overloaded": 503,
    "overloaded_error": 503,
    "server_is_overloaded": 503,
    "slow_down": 503,
    "service_unavailable": 503,
    "timeout": 504,
    "timeout_error": 504,
}


def cause_of(status: int, *words: str | None) -> Cause | None:
    """The cause, by the first of a provider's codes and types that is known; else by the status; else None."""
    for word in words:
        found = _CAUSES.get(word.lower()) if word else None
        if found is not None:
            return found
    return _BY_STATUS.get(status)


def status_of(*words: str | None) -> int | None:
    """What status an error inside a stream would have had as an answer, by its code or type; None: they do not tell."""
    for word in words:
        if not word:
            continue
        found = _CAUSES.get(word.lower())
        if found is Cause.UNPAID:
            return 429
        if found is not None:
            return 404 if found in (Cause.MODEL, Cause.PREVIOUS) else 400
        if word.lower() in _STATUSES:
            return _STATUSES[word.lower()]
    return None
