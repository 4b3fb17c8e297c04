"""Sphinx's settings for the site of the docs; `build.py` beside makes the sources."""

from avpretext import __version__

project = "avpretext"
author = "The avpretext authors"
release = __version__
language = "en_GB"

extensions = ["myst_parser", "sphinx_copybutton"]
myst_heading_anchors = 4
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
