"""Quotes: priced, numbered, printed and sent."""
