"""The client's page: what a client sees of a quote by its link, and how he answers."""
