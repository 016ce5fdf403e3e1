"""The source's rules, without I/O."""
