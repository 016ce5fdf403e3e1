"""`make demo`: the run in the foreground, told while it happens.

`show` starts and ends it; `watch` looks at the run, `story` makes sentences of what it sees, `screen` draws them.
"""
