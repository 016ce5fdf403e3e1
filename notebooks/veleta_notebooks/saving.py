"""Saves notebooks as they are committed: without outputs, so that running one does not change its file."""

from collections.abc import Mapping
from typing import Any

_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
"""Of each notebook. JupyterLab would write the version of Python and the state of widgets."""


def without_outputs(model: Mapping[str, Any], **_: object) -> None:
    """Remove what a run of a notebook changed from the content that is saved. The user's edits stay."""
    if model["type"] != "notebook":
        return
    content = model["content"]
    content["metadata"] = _METADATA
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None, "metadata": {}}
