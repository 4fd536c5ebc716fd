"""Billing: what Stripe's events say, the plan that follows, and the ways to change it."""
