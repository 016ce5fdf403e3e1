"""What only the trainer uses."""
