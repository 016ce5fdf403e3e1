"""Inference: prices over HTTP.

Reads: requests over HTTP, promotions from `models`, the champion and its native model from the registry;
`training`, to show its progress while there is no model.
Writes: its journal on disk; from there RAW_DATA.new_<dataset>, a row for each item of each answered request, and
RAW_DATA.refused_<dataset>, the refused requests; dead letters.
Guarantees: no request fails during a model swap, and a response names the version that predicted. A price is sent only
after its request is in the journal, and each such request is in MySQL once. A model that does not load or fails its
smoke check is not served: the one before it stays.
"""
