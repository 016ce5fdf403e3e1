"""What only retention uses."""
