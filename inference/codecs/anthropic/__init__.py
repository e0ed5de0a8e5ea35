"""What Anthropic's Messages say, read and written: shared by the dialect of clients and the wire format. Pure.

(https://docs.anthropic.com/en/api/messages)
"""
