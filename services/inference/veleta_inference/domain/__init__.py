"""What inference decides, without I/O."""
