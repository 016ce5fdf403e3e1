"""The trainer's rules, without I/O."""
