"""The licences of everything that is installed with uavpipe and its extras.

python -m docs.licences [--all]

Listed are those that ask for something beyond a notice, that declare none, or that contain libraries under the GPL
or LGPL; `--all` lists every package.
"""

import argparse
import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement

ASK_FOR_MORE = re.compile(r"GPL|NVIDIA|Proprietary|SSPL|EUPL|Commons Clause|non.?commercial", re.IGNORECASE)

# Start of a file's name -> the library.
_BUNDLED = {
    "libx264": "x264 (GPL)",
    "libx265": "x265 (GPL)",
    "libavcodec": "FFmpeg (LGPL; GPL if built with x264 or x265)",
    "libgeos-": "GEOS (LGPL)",
    "libQt5Core": "Qt 5 (LGPL)",
}


def installed(
    name: str = "uavpipe", extras: frozenset[str] = frozenset({"dev", "bench"})
) -> dict[str, Distribution]:
    """`name` and what it requires, with `extras` and recursively, as far as it is installed; by name."""
    found: dict[str, Distribution] = {}
    waiting, seen = [(name, extras)], set()
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        try:
            package = distribution(each[0])
        except PackageNotFoundError:
            continue
        found[package.metadata["Name"].lower()] = package
        waiting += [(one.name, frozenset(one.extras)) for one in _required(package, each[1])]
    return found


def licence(package: Distribution) -> str:
    """What the package declares, short; empty if it declares none."""
    data = package.metadata
    classifiers = [
        each.split(" :: ")[-1] for each in data.get_all("Classifier", []) if each.startswith("License ::")
    ]
    expression, licences = data.get_all("License-Expression", []), data.get_all("License", [])
    declared = " ".join(expression) or "; ".join(classifiers) or " ".join(licences)
    return " ".join(declared.split())[:60]


def bundled(package: Distribution) -> list[str]:
    """The libraries under the GPL or LGPL that the package contains as files, by what they are known for."""
    names = {path.name for path in package.files or []}
    return [text for start, text in _BUNDLED.items() if any(name.startswith(start) for name in names)]


def _required(package: Distribution, extras: frozenset[str]) -> Iterator[Requirement]:
    for text in package.requires or []:
        requirement = Requirement(text)
        if requirement.marker is None or any(
            requirement.marker.evaluate({"extra": each}) for each in ["", *extras]
        ):
            yield requirement


def main() -> None:
    """Print the list."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="list every package")
    everything = parser.parse_args().all
    packages = installed()
    for name, package in sorted(packages.items()):
        declared = licence(package)
        contains = bundled(package)
        if everything or not declared or contains or ASK_FOR_MORE.search(declared):
            shown = f"{declared or 'declares none'}{'; contains ' if contains else ''}{', '.join(contains)}"
            print(f"{name:32} {package.version:16} {shown}")
    print(f"{len(packages)} packages")


if __name__ == "__main__":
    main()
