"""How the documentation is built: `make docs`."""

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging

ROOT = Path(__file__).parent.parent
# Spinning threads make a busy machine ten times slower; the kernels of the tutorials inherit this.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
sys.path.insert(0, str(ROOT))
# The tutorials run elsewhere (see below), also from a checkout that is not installed.
# Kernels that are built are used; pages do not wait for a compiler.
os.environ.setdefault("GRAPHCOLUMNS_COMPILE", "0")
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.getenv("PYTHONPATH")]))

project = "graphcolumns"
author = "the graphcolumns authors"
copyright = f"2026, {author}"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "pictures", "measurements/bench-*"]  # the last are included
# A link to a name of ours that does not exist is an error; names of others are not linked.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!graphcolumns|geometries).*")]

html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_show_sourcelink = False

myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 3


def library_digest() -> str:
    """A fingerprint of all code and configs: what the tutorials show depends on it."""
    digest = hashlib.sha256()
    folders = ("configs", "geometries", "graphcolumns")
    files = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.*")))
    for path in files:
        if path.suffix in (".py", ".yaml", ".cpp", ".j2"):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


# Tutorials are kept from build to build until they, or the library, change. They run in temporary
# folders; an error in one is an error of the build.
nb_execution_mode = "cache"
nb_execution_cache_path = str(ROOT / "docs" / "_build" / "executed" / library_digest())
nb_execution_in_temp = True
nb_execution_raise_on_error = True
# A guard against a hang, in seconds per cell: a busy machine is no error.
nb_execution_timeout = 600
nb_merge_streams = True
nb_output_stderr = "remove"  # what libraries say of this machine is not for the reader
nb_render_image_options = {"align": "center"}

autodoc_default_options = {"members": True, "exclude-members": "extra_repr"}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = ["Shapes"]


def skip_generated(
    app: Sphinx, what: str, name: str, member: Any, skip: bool, options: Any
) -> bool:
    """Leave out the one-line docstrings that namedtuple makes for its fields."""
    return skip or (getattr(member, "__doc__", None) or "").startswith("Alias for field")


def check_outputs(app: Sphinx, doctree: nodes.document) -> None:
    """An error while a figure is drawn does not stop a notebook; it must stop the build."""
    if "Traceback (most recent call last)" in doctree.astext():
        logging.getLogger(__name__).warning(
            "an output holds a traceback", location=doctree["source"]
        )


def setup(app: Sphinx) -> None:
    """Connect the hooks above."""
    app.connect("autodoc-skip-member", skip_generated)
    app.connect("doctree-read", check_outputs)
