"""What the notebooks import: models and rows of the running system, and what can be said of them in words."""
