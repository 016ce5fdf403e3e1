"""Adapters that only inference uses."""
