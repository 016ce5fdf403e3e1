"""How every process starts, reports its health and stops. `lifecycle.serve` is the entry point of each service."""
