"""Self-contained HTML pages: no script, no network; light or dark, printable.

What several pages share is in this folder: `base.html`, and how a data set is shown. A page's own templates are in
the folder `templates` of the package that writes it.
"""

from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


def render(package: str, template: str, **values: Any) -> str:
    """The page `template` of `package`, HTML; `values` are text unless it is `Markup`."""
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, "templates"), PackageLoader("pipeline.pages", "")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["words"] = lambda key: str(key).replace("_", " ")
    return environment.get_template(template).render(values)
