"""What the loader decides, without I/O."""
