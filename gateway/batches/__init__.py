"""Batches: files of requests, answered in the background at a price of their own, results as files.

A batch is run by one process at a time and by any that can read its file. Each of its lines is one call through the
pipeline, as the key that made the batch, under an id made of batch and line: however often a line is begun, it is
billed once and has one result.
"""
