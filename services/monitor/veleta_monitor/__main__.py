"""`python -m veleta_monitor`."""

from veleta_monitor.server import serve_page

if __name__ == "__main__":
    serve_page()
