"""The loader's tables in MySQL."""
