"""Adapters that only the trainer uses."""
