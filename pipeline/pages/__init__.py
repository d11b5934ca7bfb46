"""Self-contained HTML pages: no script, no network; light or dark, printable.

What several pages share is in this folder: `base.html`, and how a data set is shown. A page's own templates are in
the folder `templates` of the package that writes it.
"""

from typing import Any

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined

from pipeline.words import counted

_SHARED = PackageLoader("pipeline.pages", "")


def render(package: str, template: str, **values: Any) -> str:
    """The page `template` of `package`, HTML; `values` are text unless it is `Markup`."""
    loader = ChoiceLoader([PackageLoader(package, "templates"), _SHARED])
    return _environment(loader).get_template(template).render(values)


def render_part(template: str, macro: str, *values: Any) -> str:
    """HTML of the part of a page that `macro` of the shared `template` makes of `values`."""
    return str(getattr(_environment(_SHARED).get_template(template).module, macro)(*values))


def _environment(loader: BaseLoader) -> Environment:
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["counted"] = counted
    environment.filters["words"] = lambda key: str(key).replace("_", " ")
    return environment
