"""Invoices of accepted quotes, what was paid of them, and the account's own account at Stripe."""
