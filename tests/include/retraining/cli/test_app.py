"""What may be typed, how a slip is answered, and what `--help` shows."""

from __future__ import annotations

import pytest

from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.store.object_store import Store
from tests.support.command_line import Run, options_by_command
from tests.support.run_factory import MODEL, version_name


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], ": error: Missing command"),
        (["unknown"], ": error: No such command 'unknown'"),
        (["champion"], " champion: error: Missing argument 'NAME'"),
        (["champion", MODEL, "again"], " champion: error: Got unexpected extra argument"),
        (["champion", MODEL, "--jsn"], " champion: error: No such option: --jsn"),
        (["rollback", MODEL, "--to", "x"], " rollback: error: Missing option '--reason'"),
        (["why", MODEL, "--date", "x"], "'--date': must be a day such as 2026-01-31, is 'x'"),
        (["decisions", MODEL, "--limit", "abc"], "'--limit': must be a whole number, 1 or more"),
        (["decisions", MODEL, "--limit=-1"], "'--limit': must be a whole number, 1 or more"),
        (["gc", "--keep", "0"], "'--keep': must be a whole number, 1 or more, is '0'"),
        (["show", "x", "--store"], " show: error: Invalid value for '--store': a value is missing"),
        (["audit", "--from", "2026-01-01", "--to", "2026-01-02", "--format", "xml"], "'--format'"),
    ],
)
def test_wrong_usage(words: list[str], message: str, run: Run) -> None:
    """Wrong usage ends with exit code 2 and one line: the command, the slip, what is allowed."""
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith("python -m include.retraining")
    assert message in err
    assert err.endswith(" (see --help)\n")
    assert err.count("\n") == 1


def test_a_slip_repeats_no_secret_and_is_one_line(run: Run) -> None:
    """`--reason` without quotes leaves words over, whatever they are."""
    words = ("the", "password=hunter22", "got\nout\x1b[31m")
    code, _, err = run("rollback", MODEL, "--reason", *words)
    assert code == 2
    assert "unexpected extra argument" in err
    assert "hunter22" not in err
    assert "\x1b" not in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", [["train"], ["train", "--run", "x", "--force"]])
def test_wrong_usage_of_a_step(words: list[str], run: Run) -> None:
    """A job that is started without its run ends with exit code 2."""
    with pytest.raises(SystemExit) as ended:
        run(*words)
    assert ended.value.code == 2


def test_an_option_is_no_value_of_another(store: Store, run: Run) -> None:
    """`--reason $REASON --dry-run` with nothing in the variable is refused, and changes nothing."""
    code, _, err = run("rollback", MODEL, "--to", version_name(1), "--reason", "--dry-run")
    assert (code, "'--reason': a value is missing" in err) == (2, True)
    assert len(PromotionLog(store, MODEL).history()) == 2


def test_help_fits_a_terminal(run: Run) -> None:
    """Help has 80 columns, no colours, a whole line for each command, and a page for each."""
    code, listed, err = run("--help")
    assert (code, err) == (0, "")
    assert "..." not in listed.partition("Commands:")[2]
    for name in options_by_command():
        code, page, err = run(name, "--help")
        assert (code, err) == (0, "")
        assert f"  {name} " in listed
        assert max(len(line) for line in (listed + page).splitlines()) <= 80
        assert "\x1b" not in listed + page
        assert page.startswith(f"Usage: python -m include.retraining {name} ")
