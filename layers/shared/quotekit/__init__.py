"""QuoteKit: the shared layer."""
