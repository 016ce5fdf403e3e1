"""What retention decides, without I/O."""
