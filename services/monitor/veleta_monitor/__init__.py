"""The monitor shows the whole loop on one page, and the drift report of each batch on a page of its own.

Reads:
- MySQL as the user `reader`: PIPELINE, and the times of RAW_DATA.new_<dataset>
- Kafka: the last event of each topic, the latest training, the number of dead letters, the consumer groups' offsets
- HTTP: /readyz of each service, and GET /model.
Writes: the commands poll, pause and resume to the topic `commands`, when a user who signed in clicks a button.
Guarantees: the page works whatever is unavailable. It names the unavailable source next to the last values from it.
No visitor waits for a slow source, and many open pages cause no more reads than one.
Start reading at: `server` starts Streamlit, which runs `page`. `background_cache` caches what the `adapters` read.
`domain` derives stages and tables from it; `markup` and style.css draw them. `report_page` serves drift reports, and
`report` writes them to files.
"""
