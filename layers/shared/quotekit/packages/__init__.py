"""Packages: good, better and best ways to do one job, ready to be put on a quote."""
