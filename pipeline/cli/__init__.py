"""The `uavpipe` command. Nothing heavy is imported before a command needs it: `--help` must answer at once."""

import importlib
from typing import Any

import click

# command -> (module in this package, function, line in the help)
_COMMANDS = {
    "run": ("run", "run", "The whole chain over all flights: skips what holds, stops where you must label."),
    "frames": ("stages", "frames", "List the frames of a video, its damage, and write JPEGs on request."),
    "detect": ("stages", "detect", "Find persons in every frame."),
    "crops": ("stages", "crops", "Cut the persons out."),
    "tracks": ("stages", "tracks", "Link the persons from frame to frame."),
    "label": ("annotate.serve", "serve", "Label the identities in the browser (as annotate serve)."),
    "dataset": ("dataset", "dataset", "Make a data set of the labelled crops."),
    "report": ("report", "report", "Write what was found and how as a page."),
    "overlay": ("stages", "overlay", "Render the boxes on the video."),
    "export": ("privacy", "export", "Write a clip to share, its people unrecognisable."),
    "forget": ("privacy", "forget", "Delete an identity everywhere in the workspace."),
    "trace": ("trace", "trace", "Say where a figure, crop or identity comes from, and what came of a frame."),
    "score": ("stages", "score", "Compare detections with a ground truth."),
    "simulate": ("simulate", "simulate", "Make a simulated flight with exact ground truth."),
    "simulate-stills": ("simulate", "stills", "Make annotated pictures of many simulated scenes."),
    "demo": ("demo", "demo", "Take two simulated flights through the whole chain, and compare with the truth."),
    "annotate": ("annotate", "annotate", "Label identities in the browser, and exchange labels with other tools."),
    "reid": ("reid", "reid", "Train and use networks that tell persons apart."),
    "detector": ("detector", "detector", "Train and evaluate person detectors."),
    "config": ("settings", "config", "Show the configuration, or its JSON schema."),
    "doctor": ("doctor", "doctor", "Say what this machine can do, and what to do about the rest."),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module, function, _ = _COMMANDS[name]
        command = getattr(importlib.import_module(f"pipeline.cli.{module}"), function)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        from pipeline.cli.errors import one_line_errors

        with one_line_errors():
            return super().invoke(ctx)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="uavpipe")
def main() -> None:
    """From drone video to person crops, identities and a re-identification model."""
