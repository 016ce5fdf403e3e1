"""`make demo`: the run in the foreground, with a line for each event and a live view of its parts.

`run_demo` starts and ends it. `run_observer` reads the state of the run, `event_messages` turns events into lines, and
`terminal` prints them.
"""
