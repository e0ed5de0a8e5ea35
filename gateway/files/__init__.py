"""Files: what clients upload, and what batches write for them. Contents lie in the data directory, the rest in the
database. Names and contents are in no log.
"""
