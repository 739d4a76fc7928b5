"""The commands by their names, and how one is parsed, run and answered with an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import typer

from include.retraining.cli.commands import (
    configuration,
    history,
    maintenance,
    new,
    prediction,
    promotion,
    regulated,
    trial,
)
from include.retraining.cli.strict_command import StrictCommand
from include.retraining.formatting.text import truncate
from include.retraining.store.redaction import redact

# A slip may repeat what was typed, which may be anything.
MAX_SLIP_LENGTH = 400
PROGRAM = "python -m include.retraining"
_COMMANDS: dict[str, Callable[..., int]] = {
    "init": maintenance.init,
    "champion": history.champion,
    "history": history.history,
    "decisions": history.decisions,
    "show": history.show,
    "why": history.why,
    "silences": history.silences,
    "verify": history.verify,
    "predict": prediction.predict,
    "rollback": promotion.rollback,
    "new": new.new,
    "try": trial.try_model,
    "release": promotion.release,
    "promote": promotion.promote,
    "gate-replay": maintenance.gate_replay,
    "reproduce": maintenance.reproduce,
    "gc": maintenance.gc,
    "audit": history.audit,
    "dossier": regulated.dossier,
    "who-saw": regulated.who_saw,
    "forget": regulated.forget,
    "config-diff": configuration.config_diff,
    "watch": maintenance.watch,
    "validate-config": configuration.validate_config,
}

app = typer.Typer(
    help="Ask about a model's versions and decisions, and change the champion.",
    epilog="A job's steps are validate, train, evaluate and card, with --run and --attempt.",
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
    rich_markup_mode=None,  # no colours and no boxes, on a terminal or in a pipe
    pretty_exceptions_enable=False,
)
for _name, _function in _COMMANDS.items():
    app.command(_name, cls=StrictCommand)(_function)


def run(words: Sequence[str]) -> int:
    """Parse and run one command, print its answer, and return the exit code.

    Wrong usage is one line on standard error and exit code 2. An error of the command itself is
    raised as it is: typer's own runner would take a broken connection for a closed pipe.
    """
    command = typer.main.get_command(app)
    try:
        with command.make_context(PROGRAM, list(words)) as context:
            exit_code: int = command.invoke(context)
            return exit_code
    except typer.Exit as ended:  # `--help`
        return ended.exit_code
    except typer.TyperException as error:
        where = getattr(error, "ctx", None)  # of the command, once one is recognised
        prefix = where.command_path if where else PROGRAM
        slip = truncate(redact(error.format_message()), MAX_SLIP_LENGTH).rstrip(".")
        sys.stderr.write(f"{prefix}: error: {slip} (see --help)\n")
        return error.exit_code
