"""The loader's rules, without I/O."""
