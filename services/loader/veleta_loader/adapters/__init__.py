"""What only the loader uses."""
