"""How the webhooks do, and what an operator does about it."""
