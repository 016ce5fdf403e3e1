"""`make demo`: the run in the foreground, with a line for each event and a live view of its parts.

`run_demo` starts and ends it, and `signals` says when. `run_observer` reads the state of the run, and `event_messages`
turns events into lines. `terminal` prints the lines in the order of `message_queue`, and `screen` draws them above the
block of `view`.
"""
