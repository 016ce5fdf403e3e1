"""The rule, without I/O."""
