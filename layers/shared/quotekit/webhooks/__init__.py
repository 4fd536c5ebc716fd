"""Webhooks: what other systems tell us, recorded once and applied once."""
