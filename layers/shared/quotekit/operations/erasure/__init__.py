"""Erasure of an account: asked for, done a bounded part at a time, shown by a receipt."""
