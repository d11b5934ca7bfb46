"""The `uavpipe` command. Nothing heavy is imported before a command needs it: `--help` must answer at once."""

import importlib
from typing import Any

import click

from pipeline.chain.table import CROPS, DATASET, DETECT, FRAMES, LABEL, OVERLAY, REPORT, TRACKS
from pipeline.cli.verbosity import reset_verbosity, with_verbosity

# section of the help -> command -> (module in this package, function, line in the help, which fits into 80 columns)
_SECTIONS = {
    "Begin": {
        "init": ("init", "init", "Write a commented configuration for the videos in a folder."),
        "run": ("run", "run", "Run the chain, up to where labels are needed; resume it."),
        "status": ("status", "status", "Show what of a workspace is finished, and what to do next."),
        "demo": ("demo", "demo", "Run the whole chain on two simulated flights."),
        "doctor": ("doctor", "doctor", "Check the environment and suggest fixes."),
    },
    "One stage of the chain": {
        FRAMES.command: ("stages", "frames", FRAMES.summary),
        DETECT.command: ("stages", "detect", DETECT.summary),
        CROPS.command: ("stages", "crops", CROPS.summary),
        TRACKS.command: ("stages", "tracks", TRACKS.summary),
        "label": ("annotate.serve", "serve", LABEL.summary),
        DATASET.command: ("dataset", "dataset", DATASET.summary),
        REPORT.command: ("report", "report", REPORT.summary),
        OVERLAY.command: ("stages", "overlay", OVERLAY.summary),
    },
    "Who was seen, when and where": {
        "find": ("find", "find", "Search for the person in a photo in all flights."),
        "sightings": ("sightings", "sightings", "List who was seen, when and where."),
        "people": ("people", "people", "Estimate how many different people there are."),
        "clip": ("clip", "clip", "Render a clip of each sighting of a person."),
        "coverage": ("coverage", "coverage", "Show which ground was looked at, and which was not."),
    },
    "Trust and share": {
        "trace": ("trace", "trace", "Trace a figure, crop or identity back to the video."),
        "verify": ("verify", "verify", "Check that a workspace is whole, and name what is damaged."),
        "score": ("score", "score", "Compare detections and tracklets with a ground truth."),
        "anonymize": ("privacy", "anonymize", "Write a clip with its people made unrecognisable."),
        "forget": ("privacy", "forget", "Erase a person everywhere in the workspace."),
    },
    "Labels, networks, other tools": {
        "annotate": ("annotate", "annotate", "Embed, import, export, replay and compare labels."),
        "detections": ("detections", "detections", "Use the detections of other tools."),
        "reid": ("reid", "reid", "Train, evaluate and use re-identification networks."),
        "detector": ("detector", "detector", "Train, evaluate and convert person detectors."),
        "weights": ("weights", "weights", "List and download public weights."),
    },
    "More": {
        "simulate": ("simulate", "simulate", "Simulate a flight with exact ground truth."),
        "simulate-stills": ("simulate", "stills", "Simulate annotated pictures of many scenes."),
        "config": ("settings", "config", "Show the configuration, or its JSON schema."),
        "completion": ("completion", "completion", "Print the script for completion in bash, zsh or fish."),
    },
}
_COMMANDS = {name: command for section in _SECTIONS.values() for name, command in section.items()}
_ALIASES = {"export": "anonymize"}  # former names
PROGRAM = "uavpipe"


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        name = _ALIASES.get(name, name)
        if name not in _COMMANDS:
            return None
        module, function, _ = _COMMANDS[name]
        command = getattr(importlib.import_module(f"pipeline.cli.{module}"), function)
        assert isinstance(command, click.Command)
        return with_verbosity(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not ctx.resilient_parsing and not name.startswith("-") and self.get_command(ctx, name) is None:
            raise click.UsageError(f"no command '{name}'{self._meant(ctx, name)}", ctx)
        return super().resolve_command(ctx, args)

    def _meant(self, ctx: click.Context, name: str) -> str:
        """What a mistyped `name` may mean: a command alike, or that of a group."""
        import difflib

        groups = [(each, self.get_command(ctx, each)) for each in ("annotate", "detector", "reid")]
        meant = [
            f"{group} {name}"
            for group, command in groups
            if isinstance(command, click.Group) and name in command.commands
        ] or [_ALIASES.get(each, each) for each in difflib.get_close_matches(name, [*_COMMANDS, *_ALIASES], n=2)]
        return f"; did you mean {' or '.join(f'`{PROGRAM} {each}`' for each in meant)}?" if meant else ""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, _COMMANDS))  # of all sections, so that their columns are one
        for title, commands in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:{width}}", line) for name, (_, _, line) in commands.items()])

    def main(self, *args: Any, **extra: Any) -> Any:
        reset_verbosity()
        return super().main(*args, **{"prog_name": PROGRAM, "complete_var": f"_{PROGRAM.upper()}_COMPLETE"} | extra)

    def invoke(self, ctx: click.Context) -> Any:
        from pipeline.cli.errors import one_line_errors
        from pipeline.cli.leftovers import none_left

        with one_line_errors(), none_left():
            return super().invoke(ctx)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="uavpipe")
def main() -> None:
    """From drone video to person crops, identities and a re-identification model."""


with_verbosity(main)
