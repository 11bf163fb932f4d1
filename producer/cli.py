"""The `producer` program: its commands, loaded one at a time, and where errors become one line."""

import io
import sys
from importlib import import_module
from typing import Any

import click

from models.types.errors import BadInputError, NightshiftError, NotFoundError, SettingsError
from models.types.printable import printable

#: The commands in groups. Each has its place below `producer.commands`, and the line that `producer --help` shows: the
#: modules bring SQLAlchemy, rich and Celery, and the list, which must not wait for them, is shown without them.
GROUPS = {
    "Make pictures": {
        "enqueue": ("make.enqueue:command", "Put the prompts of a file on the queue."),
        "run": ("make.run:command", "Do everything here: server, worker, queue, progress, report."),
        "workers": ("machine.workers:command", "Run a worker for each device of this machine."),
        "train": ("make.train:command", "Train a LoRA on pictures, between those that the queue makes."),
        "estimate": ("make.estimate:command", "Say how long a number of pictures would take."),
        "pause": ("control:pause", "Begin no further job."),
        "resume": ("control:resume", "Go on after a pause."),
        "cancel": ("control:cancel", "Cancel a batch, a job or a training."),
    },
    "Watch": {
        "report": ("watch.report:command", "Say how fast it went and when it will be done."),
        "status": ("watch.status:command", "Show how far batches and trainings are."),
        "watch": ("watch.watch:command", "Follow a batch or a training until it is done."),
        "serve": ("watch.serve:command", "Show batches, reports and pictures to a browser."),
        "coverage": ("watch.coverage:command", "Show what is missing of each combination of attributes."),
    },
    "Look at pictures": {
        "show": ("look.show:command", "Show all that is known of a job, and its picture."),
        "compare": ("look.compare:command", "Make the same pictures in variants, and say which is better."),
        "grid": ("look.grid:command", "Put a batch's pictures on a contact sheet."),
        "check": ("look.check:command", "Judge the pictures of a batch."),
        "accept": ("look.decide:accept", "Accept pictures, whatever the checks say."),
        "reject": ("look.decide:reject", "Reject pictures, whatever the checks say."),
    },
    "Keep": {
        "export": ("keep.export:command", "Make a data set of accepted pictures."),
        "gc": ("keep.gc:command", "Say what pictures take on the disk, and remove what is named."),
    },
    "Set up and repair": {
        "doctor": ("machine.doctor:command", "Check device, memory, disk, Redis, database, checkpoint."),
        "download": ("machine.download:command", "Fetch a checkpoint from the hub."),
        "migrate": ("machine.migrate:command", "Bring the database's tables to this version."),
        "service": ("machine.service:command", "Keep a worker running, from the machine's start on."),
        "tune": ("machine.tune:command", "Find out how pictures are made in the least time."),
        "bench": ("machine.bench:command", "Measure this machine."),
        "retry": ("control:retry", "Queue the failed jobs of a batch again."),
        "publish": ("control:publish", "Put jobs on the queue that are not there."),
    },
}
COMMANDS = {name: command for commands in GROUPS.values() for name, command in commands.items()}
#: Exit statuses: 0 done, 1 failed work, 2 wrong use.
FAILED, WRONG_USE = 1, 2
_WRONG_USE = (BadInputError, NotFoundError, SettingsError)


class _Program(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(f"producer.commands.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # As wide in each group, so that the lines begin below each other.
        width = max(map(len, COMMANDS))
        for group, commands in GROUPS.items():
            with formatter.section(group):
                formatter.write_dl([(name.ljust(width), line) for name, (_, line) in commands.items()])

    def main(self, *args: Any, **kwargs: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):
            # A character that the terminal's encoding lacks is shown by its number; Python would end with a traceback.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> object:
        # Four times as long as the list of commands takes without them, and a shell asks for that with each Tab.
        from models.settings import told_by_env_file

        try:
            if (said := told_by_env_file()) is not None:
                click.echo(f"producer: {printable(said)}", err=True)
            return super().invoke(ctx)
        except NightshiftError as error:
            for line in str(error).splitlines():
                click.echo(f"producer: {printable(line)}", err=True)
            ctx.exit(WRONG_USE if isinstance(error, _WRONG_USE) else FAILED)
        except BrokenPipeError:
            # Whoever read our output has seen enough, as `head` does.
            sys.stderr.close()
            ctx.exit(FAILED)


@click.command(cls=_Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nightshift", prog_name="producer")
def main() -> None:
    """Make pictures in the thousands: put prompts on a queue, leave, and find every picture in the morning.

    \b
    Each in a terminal of its own:
      docker compose up redis
      celery -A worker worker
      producer enqueue --prompts shoes.txt
      producer report
    Or all in one:
      producer run --prompts shoes.txt

    Settings are NIGHTSHIFT_ environment variables or lines of a .env file; `producer doctor` lists them.
    Exit status: 0 done, 1 failed work, 2 wrong use.
    """
