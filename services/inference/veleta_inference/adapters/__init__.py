"""What only inference uses."""
