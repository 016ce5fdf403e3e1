"""What the page shows, from what was read. Pure: no I/O, no clock, no Streamlit."""
