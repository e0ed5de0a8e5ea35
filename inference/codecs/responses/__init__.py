"""OpenAI's Responses format, as far as both of its sides share it: the items that are its input and its output. Pure.

What a client sends as input is what a model said as output, so one reader and one writer serve the dialect, the
provider and the stored conversations. (https://platform.openai.com/docs/api-reference/responses)
"""
