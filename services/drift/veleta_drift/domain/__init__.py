"""The statistics of a batch and the rule that compares them, without I/O."""
