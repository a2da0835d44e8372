"""`onlooker` on the command line: `demo`, `hosts`.

Owns arguments, exit codes, and the words that are printed around a command. The GAN is in `examples/gan_digits`, the
look of the table of hosts in `host_table`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import onlooker as ol
from onlooker.core.errors import OnlookerError, missing_extra, nearest

DONE, REFUSED, INTERRUPTED = 0, 2, 130
"""Exit codes: 2 for what the user can mend, as argparse has it; 130 after Ctrl-C, as shells have it."""

DRAWINGS = 15
"""How many times the demo draws, if nothing else is asked for."""

_DISTRIBUTIONS = {"sklearn": "scikit-learn", "torch": "torch"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code.

    Args:
        arguments: those after the program's name; None for what it was called with.
    """
    given = _parse(sys.argv[1:] if arguments is None else arguments)
    run: Callable[[argparse.Namespace], int] = given.run
    try:
        code = run(given)
        sys.stdout.flush()
        return code
    except OnlookerError as error:
        return _refuse(f"onlooker {given.command}: {error}")
    except KeyboardInterrupt:
        return _refuse(f"onlooker {given.command}: interrupted", INTERRUPTED)
    except BrokenPipeError:  # `onlooker hosts | head`: whoever reads has seen enough
        _print_nothing_more()
        return DONE
    except OSError as error:
        if error.filename is not None:
            raise
        _print_nothing_more()  # only what is printed goes to a file without a name
        return _refuse(f"onlooker {given.command}: cannot print: {error.strerror or error}")


def demo(given: argparse.Namespace) -> int:
    """Train a GAN on handwritten digits, and say at the end how it went and where the pictures are.

    Raises:
        OnlookerError: the directory cannot be written, or the extra is not installed.
    """
    from onlooker.callbacks.image_grid.directory import prepare_directory

    every = given.every or max(1, given.epochs // DRAWINGS)
    if every > given.epochs:
        return _refuse(f"onlooker demo: --every {every} is more than --epochs {given.epochs}: nothing would be drawn")
    prepare_directory(given.directory)
    train = _load_demo()
    print(
        f"A GAN learns to write digits: {given.epochs} epochs, a picture every {every}, seed {given.seed}", flush=True
    )
    witness = _Witness()
    try:
        train(given.epochs, every, given.directory, given.seed, callbacks=[witness])
    except KeyboardInterrupt:
        if not witness.has_begun:
            raise
        print(witness.summary())
        return INTERRUPTED
    print(witness.summary())
    return DONE


def hosts(given: argparse.Namespace) -> int:
    """Print what each host gives."""
    from rich.console import Console

    from onlooker.host_table import as_json, find_declarations, find_named, print_hosts

    try:
        declarations = find_named(given.name, find_declarations())
    except ValueError as error:
        return _refuse(f"onlooker hosts: {error}")
    if given.json:
        print(as_json(declarations))
    else:
        console = Console()
        with console.capture() as captured:
            print_hosts(declarations, console, has_reasons=bool(given.name))
        print(captured.get(), end="")
    return DONE


def _print_nothing_more() -> None:
    """Leave what is still to be printed to nobody: Python would try once more when it exits, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Witness(ol.Callback):
    """Sees how a training goes, to tell of it afterwards, whatever became of it."""

    _begun_at_s: float | None = None
    _epochs = 0

    @property
    def has_begun(self) -> bool:
        return self._begun_at_s is not None

    def on_train_begin(self, logs: ol.Logs | None = None) -> None:
        self._begun_at_s = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: ol.Logs | None = None) -> None:
        if self.run.outcome is None:  # else it was cut off
            self._epochs = epoch + 1

    def summary(self) -> str:
        """Return why the run ended, how long it took, and where the pictures are."""
        run = self.run
        reason = "Ctrl-C" if run.reason == "KeyboardInterrupt" else run.reason
        why = f" ({reason})" if reason else ""
        duration_s = time.monotonic() - (self._begun_at_s or 0.0)
        lines = [f"{run.outcome}{why}: {_counted(self._epochs, 'epoch')} in {duration_s:.0f} s"]
        for grid in run.callbacks:
            if isinstance(grid, ol.callbacks.ImageGrid):
                lines += _told(grid)
        return "\n".join(lines)


def _told(grid: ol.callbacks.ImageGrid) -> list[str]:
    """Return what there is to say of a grid's files."""
    directory = grid.directory
    pictures = f"{_counted(len(grid.drawings), 'picture')} in {directory}"
    paths = [path for path in (grid.strip_path, grid.gif_path) if path is not None]
    if not grid.drawings:
        lines = [pictures]
    elif len(paths) == 2:
        lines = [f"{pictures}, and the film of them:"]
    else:  # a second Ctrl-C, while it was made
        lines = [f"{pictures}; the film of them was not finished{':' if paths else ''}"]
    lines += [f"  {path}" for path in paths]
    drawn = {drawing.file_name for drawing in grid.drawings}
    older = [path for path in directory.glob(f"{grid.name}-epoch-*.png") if path.name not in drawn]
    if older:
        lines.append(f"{_counted(len(older), 'more picture')} there, of an earlier run")
    return lines


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _load_demo() -> Callable[..., None]:
    """Return the function that trains.

    Raises:
        MissingExtraError: a package that the demo needs is not installed.
    """
    try:
        import torch

        from onlooker.examples.gan_digits import train
    except ModuleNotFoundError as error:
        distribution = _DISTRIBUTIONS.get((error.name or "").partition(".")[0])
        if distribution is None:
            raise
        raise missing_extra("demo", distribution) from error
    # Nets as small as these gain nothing from a second thread, and with one the seed decides every bit.
    torch.set_num_threads(1)
    return train


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    @property
    def options(self) -> list[str]:
        """The options that it knows, such as `--epochs`."""
        return [option for action in self._actions for option in action.option_strings]

    def error(self, message: str) -> NoReturn:
        self.exit(REFUSED, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what was asked for; where that cannot be, say so in one line and exit."""
    parser, commands = _parser()
    word = next((argument for argument in arguments if not argument.startswith("-")), None)
    if word is not None and word not in commands:
        guess = nearest(word, commands)
        hint = f"did you mean {guess}?" if guess else f"there are {' and '.join(commands)}"
        parser.error(f"no command is called {word!r} ({hint})")
    given, unknown = parser.parse_known_args(arguments)
    if given.command is None:
        what = (
            f"unrecognized arguments: {' '.join(unknown)}" if unknown else f"say which command: {' or '.join(commands)}"
        )
        parser.error(what)
    if unknown:
        command = commands[given.command]
        guess = nearest(unknown[0], command.options)
        command.error(f"unrecognized arguments: {' '.join(unknown)}{f' (did you mean {guess}?)' if guess else ''}")
    return given


def _parser() -> tuple[_Parser, dict[str, _Parser]]:
    """Return the parser, and that of each command."""
    parser = _Parser(prog="onlooker", description="The callback system for every training loop.")
    parser.add_argument("--version", action="version", version=f"onlooker {ol.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command")

    command = commands.add_parser("demo", help="train a GAN on handwritten digits, and keep the pictures that it draws")
    command.description = "Train a GAN on handwritten digits; keep the pictures that it draws, and a film of them."
    command.set_defaults(run=demo)
    command.add_argument(
        "--epochs", metavar="N", type=_whole(1), default=120, help="how long to train (default: %(default)s)"
    )
    command.add_argument(
        "--every", metavar="N", type=_whole(1), help=f"epochs between pictures (default: about {DRAWINGS} pictures)"
    )
    command.add_argument(
        "--directory",
        metavar="PATH",
        type=_path,
        default=Path("onlooker-demo"),
        help="where the pictures go; it is made if it is not there (default: %(default)s)",
    )
    command.add_argument(
        "--seed",
        metavar="N",
        type=_whole(0),
        default=0,
        help="what chance follows from: with the same the pictures are the same (default: %(default)s)",
    )

    command = commands.add_parser("hosts", help="show what each host gives to callbacks")
    command.description = "Show what each host (a loop, or somebody else's trainer) gives to callbacks."
    command.epilog = "For example: onlooker hosts Keras; onlooker hosts torch sklearn"
    command.set_defaults(run=hosts)
    command.add_argument(
        "name",
        nargs="*",
        help="only these, with reasons and limits: the beginning of a host's name, or the package that it needs",
    )
    command.add_argument("--json", action="store_true", help="print all of it as JSON, for programs")
    return parser, commands.choices


def _path(text: str) -> Path:
    if not text.strip():
        raise argparse.ArgumentTypeError("expected the path of a directory, not ''; '.' is the one at hand")
    return Path(text)


def _whole(least: int) -> Callable[[str], int]:
    """Return a reader of whole numbers that refuses what is less, or too long to be meant."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number < 2**63:
            limits = f"of {least} or more" if number < least else "below 2**63"
            raise argparse.ArgumentTypeError(f"expected a whole number {limits}, not {text!r}")
        return number

    return read


def _refuse(message: str, code: int = REFUSED) -> int:
    print(message, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
