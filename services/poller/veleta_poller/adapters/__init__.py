"""The data API over HTTP, the inbox and the state on disk, and the topics."""
