"""The monitor: the whole loop on one page.

Reads: PIPELINE and RAW_DATA.new_<dataset> in MySQL as the user `reader`, the last event of each topic, the last
training and the groups' offsets in Kafka, /readyz of each service and GET /model of inference.
Writes: the commands poll, pause and resume to the topic `commands`, when somebody presses a button.
Promises: the page always stands. What is away is named in a sentence where its figures would be, next to the last
figures that were known; nobody waits for a slow part, and many open pages ask no more than one.
Way in: `server` starts Streamlit, it runs `page`; `glance` keeps what `adapters` answer; `domain` makes stages and
tables of it, `markup` and style.css their look.
"""
