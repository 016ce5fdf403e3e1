"""Adapters that only retention uses."""
