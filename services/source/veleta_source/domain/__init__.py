"""What source decides, without I/O."""
