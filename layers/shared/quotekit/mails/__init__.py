"""Mails: what was to be said to whom, and what became of it."""
