"""``qjob completion``: the completion of commands, options and jobs in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from qjob.cli.session import Session
from qjob.cli.terminal import out
from qjob.errors import QjobError
from qjob.model.record import JobRecord
from qjob.store.store import Query

_VARIABLE = "_QJOB_COMPLETE"  # the one that click looks at for a program of this name


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes qjob's commands and jobs in a shell.

    \b
      bash  eval "$(qjob completion bash)"         in ~/.bashrc
      zsh   eval "$(qjob completion zsh)"          in ~/.zshrc, after compinit
      fish  qjob completion fish > ~/.config/fish/completions/qjob.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"This version of click knows no completion for {shell}.")
    out(kind(ctx.find_root().command, {}, "qjob", _VARIABLE).source())


def recent_jobs(ctx: click.Context, limit: int) -> list[JobRecord]:
    """Return the newest jobs, for a shell to choose from; none where they cannot be read."""
    session = Session(home=ctx.find_root().params.get("home"))
    try:
        return session.service.find(Query(limit=limit))
    except QjobError:  # a message in the middle of what somebody types helps nobody
        return []
