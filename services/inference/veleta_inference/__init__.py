"""Inference: prices over HTTP.

Reads: requests over HTTP, promotions from `models`, the champion and its native model from the registry.
Writes: its journal on disk; from there RAW_DATA.new_<dataset>, a row for each item of each request that was answered,
and RAW_DATA.refused_<dataset>, what was refused; dead letters.
Promises: no request fails while one model is exchanged for another, and an answer names the version that made it;
a price leaves only after its request is in the journal, and each such request is in MySQL once; a model that does not
load, or whose trial prices make no sense, is not served: the one before it stays.
"""
