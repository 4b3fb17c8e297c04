"""Sphinx's settings for the site of the docs; `build.py` beside makes the sources."""

import re
from typing import Any

from avpretext import __version__

project = "avpretext"
author = "The avpretext authors"
release = __version__
language = "en_GB"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
myst_heading_anchors = 4

autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_attr_annotations = False
python_maximum_signature_line_length = 100
# `name` in a docstring is a link where the reference has that name, else code.
default_role = "py:obj"
# A name of the package that is missing from the reference fails the build; other packages have their own pages.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!avpretext\.).*")]

# Pages of the repository that are linked, but have no place in the contents, are meant.
suppress_warnings = ["toc.not_included", "misc.highlighting_failure"]

html_theme = "furo"
html_title = "avpretext"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"
copybutton_exclude = ".linenos, .gp, .go"

ARRAY = re.compile(r"(?:~?numpy\.)?ndarray\[tuple\[~?(?:typing\.)?Any, \.\.\.\], ~?(?:numpy\.)?dtype\[(.+?)\]\]")


def shorten(
    app: Any, what: str, name: str, thing: Any, options: Any, signature: str | None, returns: str | None
) -> Any:
    """Write arrays in signatures as the source does, `NDArray[float32]`, and defaults that are made as `...`."""
    parts = [text and text.replace("<factory>", "...") for text in (signature, returns)]
    return [text and ARRAY.sub(r"~numpy.typing.NDArray[\1]", text) for text in parts]


def setup(app: Any) -> None:
    """Let Sphinx call `shorten`."""
    app.connect("autodoc-process-signature", shorten)
