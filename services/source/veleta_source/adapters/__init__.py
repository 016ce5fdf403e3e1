"""The files of the source."""
