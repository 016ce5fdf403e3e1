"""A storm on a whole run: an API that records its batches, random faults, steady clients, and the audit after it."""
