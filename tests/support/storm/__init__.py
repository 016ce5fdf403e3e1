"""A storm on a whole run: an API that remembers, faults by chance, clients that never pause, and the audit after it."""
