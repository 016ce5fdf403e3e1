"""`make bench`: the throughput and latency of predictions, compared with other servers in one run."""
