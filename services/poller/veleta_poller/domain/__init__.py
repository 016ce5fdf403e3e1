"""What poller decides, without I/O."""
