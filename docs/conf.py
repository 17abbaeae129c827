"""How Sphinx builds the documentation: `make docs`. It asks nothing of the network."""

from importlib.metadata import version as version_of
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

project = "aiobatch"
author = "aiobatch authors"
copyright = "aiobatch authors. MIT License"
version = release = version_of("aiobatch")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["plots"]

# Fences of colons for directives: so the blocks of backquotes are code, and all code runs in tests.
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"aiobatch {release}"
html_static_path = ["_static"]
html_css_files = ["aiobatch.css"]
html_show_sphinx = False
html_copy_source = False
pygments_style = "default"
pygments_dark_style = "github-dark"
copybutton_exclude = ".linenos, .gp, .go"


# Chapters of parts that a checkout may be without: the front page lists those that are there.
OPTIONAL = ("command-line", "spark", "sizing")


def leave_out_missing_chapters(app: Sphinx, docname: str, content: list[str]) -> None:
    """Take lines of the front page's list out that would lead nowhere."""
    if docname == "index":
        for name in OPTIONAL:
            if not (Path(app.srcdir) / f"{name}.md").exists():
                content[0] = content[0].replace(f"\n{name}\n", "\n")


def setup(app: Sphinx) -> None:
    """Show each call by its one implementation: six overloads would hide what it takes."""
    app.connect("source-read", leave_out_missing_chapters)
    analyze = ModuleAnalyzer.analyze

    def without_overloads(analyzer: ModuleAnalyzer) -> None:
        analyze(analyzer)
        analyzer.overloads.clear()

    ModuleAnalyzer.analyze = without_overloads
