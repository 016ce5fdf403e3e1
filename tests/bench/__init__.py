"""`make bench`: how fast prices are served, and how fast others would be, side by side in one run."""
