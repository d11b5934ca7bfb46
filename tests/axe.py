"""The rules of axe-core that a page in a real browser breaks."""

from axe_playwright_python.base import AXE_SCRIPT


def broken_rules(page):
    """The rule and the markup of each element that breaks one."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    broken = page.evaluate("async () => (await axe.run({ resultTypes: ['violations'] })).violations")
    return [(rule["id"], node["html"]) for rule in broken for node in rule["nodes"]]
