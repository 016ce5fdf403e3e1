"""Writes the reference pages from the code: whole pages, and the blocks between two comments of a page."""
