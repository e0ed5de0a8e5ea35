"""Stored responses: what a client may come back to, go on from, read again and delete.

A response and its input are kept per tenant, written after the answer by a background writer, and gone after a
while. What is kept are conversations: nothing of them is ever logged. What a crash costs are the responses of its
last moments, never an answer.
"""
