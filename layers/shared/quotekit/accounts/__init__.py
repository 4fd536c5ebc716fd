"""Accounts: how a company prints and counts, its plan and its usage."""
