"""Onboarding: what a newcomer has done, is shown, and prefers; and how many get through."""
