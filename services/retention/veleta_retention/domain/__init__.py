"""The rules of retention, without I/O."""
