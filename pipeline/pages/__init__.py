"""Pages to look at that need nothing beside them: no script, no network; light or dark, on paper too.

The templates lie in this folder: `base.html` is what all share, and a page's parts are files of their own.
"""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, **values: Any) -> str:
    """The page `template` of this folder, HTML; what `values` hold is text unless it is `Markup`."""
    environment = Environment(
        loader=PackageLoader("pipeline", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["words"] = lambda key: str(key).replace("_", " ")
    return environment.get_template(template).render(values)
