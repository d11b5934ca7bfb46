"""The list of licences: everything installed with uavpipe, and what asks for more than a notice."""

import pytest

from docs.licences import bundled, installed, licence
from tests.test_dependencies import imported


@pytest.fixture(scope="module")
def packages():
    return installed()


def test_the_list_has_what_is_imported_and_what_that_requires(packages):
    assert {"uavpipe", "torch", "av", "opencv-python", "numpy", "click", "sympy"} <= packages.keys()
    assert len(imported()) < len(packages)


def test_what_a_licence_is_read_from(packages):
    assert licence(packages["uavpipe"]) == "Apache-2.0"
    assert "BSD" in licence(packages["click"])


def test_none_of_the_packages_declares_the_gpl(packages):
    assert [name for name, package in packages.items() if "AGPL" in licence(package)] == []
    assert {name for name, package in packages.items() if not licence(package)} <= {
        "axe-playwright-python",
        "cuda-toolkit",
        "faster-coco-eval",
    }


def test_libraries_inside_of_wheels_are_named(packages):
    if not any(path.name.startswith("libavcodec") for path in packages["av"].files or []):
        pytest.skip("this PyAV uses the system's FFmpeg")
    assert any(text.startswith("x264") for text in bundled(packages["av"]))
