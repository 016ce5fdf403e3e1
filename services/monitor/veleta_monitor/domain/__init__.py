"""What the page shows, derived from what the adapters read. Pure: no I/O, no clock, no Streamlit."""
