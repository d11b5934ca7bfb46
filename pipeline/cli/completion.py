"""`uavpipe completion`: the completion of commands, options and files in a shell."""

import click

_SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Print the script that completes uavpipe's commands, options and files in SHELL.

    For bash and zsh, add `eval "$(uavpipe completion bash)"`, or zsh, to ~/.bashrc or ~/.zshrc; for fish, write the
    output to ~/.config/fish/completions/uavpipe.fish.
    """
    from click.shell_completion import get_completion_class

    from pipeline.cli import PROGRAM, main

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(main, {}, PROGRAM, f"_{PROGRAM.upper()}_COMPLETE").source())
