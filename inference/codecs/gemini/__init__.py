"""Gemini's JSON and our words for it, both ways: what its clients' dialect and its wire format share. Pure.

Parts, schemas, finish reasons, usage, grounding; refuses to know who asks whom.
(https://ai.google.dev/api/generate-content, https://ai.google.dev/api/caching#Content)
"""
