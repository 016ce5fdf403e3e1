"""The poller's rules, without I/O."""
