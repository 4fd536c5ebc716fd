"""The catalogue that all accounts share: looked through, copied from, and kept by admins."""
