"""What poller stands on: the API over HTTP, the inbox on disk."""
