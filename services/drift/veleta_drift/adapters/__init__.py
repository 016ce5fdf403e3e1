"""Faust, and drift's tables in MySQL."""
