"""The monitor's page on generated states: Streamlit runs this file instead of the page itself."""

import runpy
from pathlib import Path

from support.monitor_states import staged
from veleta_monitor import bootstrap

bootstrap.build = staged  # the page imports the builder by this name
runpy.run_path(str(Path(bootstrap.__file__).with_name("page.py")))
