"""OpenAI's format of servers that show a model's thoughts as `reasoning_content` and want them back so. Pure.

DeepSeek refuses a tool's result where the thoughts before its call are missing; z.ai keeps them for the next turn.
(https://api-docs.deepseek.com/guides/thinking_mode, https://docs.z.ai/guides/capabilities/thinking-mode)
"""

from inference.providers.openai import OpenAI
from inference.providers.openai.chat import OpenAIChat
from inference.providers.openai.chat_traits import ChatTraits
from inference.wire import ChatFormat


class OpenAIReasoning(OpenAI):
    """The lanes are OpenAI's; only what is translated says more."""

    chat: ChatFormat | None = OpenAIChat(
        ChatTraits(thoughts="reasoning_content", unthinking={"thinking": {"type": "disabled"}})
    )


WIRE = OpenAIReasoning()
