"""Batches: one operation on up to a million items, in chunks that workers share."""
