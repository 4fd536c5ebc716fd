"""Webhooks through the whole stack while its parts are killed, and a ledger that trusts none of it.

`make soak` runs it at length, tests/system/test_webhooks_crash.py in short. Nothing here imports
the product: the signatures, the events and what has to come of them are written a second time.
"""
