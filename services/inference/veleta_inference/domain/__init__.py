"""The rules and types of inference, without I/O."""
