"""Source's files."""
