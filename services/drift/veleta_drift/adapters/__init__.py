"""What only drift uses."""
