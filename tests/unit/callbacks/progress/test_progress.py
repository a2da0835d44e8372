import copy
import functools
import inspect
import io
import logging
import os
import pickle
import subprocess
import sys
import warnings

import pytest
from tests.unit.callbacks.progress.terminal import Terminal, render
from tests.unit.core.counting_library import CountingLibrary

import onlooker as ol
from onlooker.core.dispatch import Dispatcher
from onlooker.core.errors import OnlookerWarning
from onlooker.core.logs import LazyLogs
from onlooker.core.run import Run

Progress = ol.callbacks.Progress


class Clock:
    """A clock that goes on by as much as it is told, and by `tick_s` whenever it is read."""

    def __init__(self, tick_s=0.0):
        self.now_s = 100.0
        self.tick_s = tick_s

    def __call__(self):
        self.now_s += self.tick_s
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def on_terminal(test):
    """Run a test with a terminal of 80 columns as standard output and standard error.

    No fixture can do that: between setup and call pytest puts its own streams in place.
    """

    @functools.wraps(test)
    def run(*arguments, monkeypatch, **fixtures):
        terminal = Terminal()
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setattr("rich._console", None)  # as at the start of a process
        if "monkeypatch" in wanted:
            fixtures["monkeypatch"] = monkeypatch
        test(*arguments, terminal=terminal, **fixtures)

    wanted = inspect.signature(test).parameters
    given = {**wanted, "monkeypatch": inspect.Parameter("monkeypatch", inspect.Parameter.POSITIONAL_OR_KEYWORD)}
    del given["terminal"]
    run.__signature__ = inspect.Signature(list(given.values()))
    return run


class Peek(ol.Callback):
    """Looks at a terminal at some moment."""

    def __init__(self, terminal, epoch, batch, hook="on_train_batch_end"):
        self.screen = None

        def look(index, logs):
            if (self.run.epoch, index) == (epoch, batch):
                self.screen = terminal.screen

        setattr(self, hook, look)


def train(clock, *callbacks, epochs=3, batches=20, tests=12, known=True, body=lambda epoch, batch: None):
    """Train epochs of 8 seconds: 20 batches and a validation of 12, a quarter of a second each."""
    with ol.Loop(None, callbacks=callbacks) as loop:
        loop.run.clock = clock
        for epoch in loop.epochs(epochs if known else None):
            loader = [1.0] * batches
            for batch, _ in enumerate(loop.train(loader if known else iter(loader))):
                clock.now_s += 0.25
                loop.log({"loss": 0.5, "accuracy": 0.75})
                body(epoch, batch)
            for _ in loop.test([1.0] * tests) if tests else ():
                clock.now_s += 0.25
                loop.log(loss=0.25)
            if epoch + 1 == epochs:
                loop.stop("enough") if not known else None
    return loop.run


# Lines, where nothing can be drawn anew.


def test_a_line_for_each_epoch(clock, capsys):
    train(clock, Progress(), epochs=12, batches=240, tests=40)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 12
    assert lines[0] == "epoch  1/12  1:10  loss 0.5000  accuracy 0.7500  val_loss 0.2500  (12:50 left)"
    assert lines[-1] == "epoch 12/12  1:10  loss 0.5000  accuracy 0.7500  val_loss 0.2500"


def test_lines_of_a_training_without_known_end(clock, capsys):
    train(clock, Progress(), epochs=2, known=False)
    assert capsys.readouterr().out.splitlines() == [
        "epoch 1  8.0 s  loss 0.5000  accuracy 0.7500  val_loss 0.2500",
        "epoch 2  8.0 s  loss 0.5000  accuracy 0.7500  val_loss 0.2500",
        "stopped in epoch 2 after 0:16: enough",
    ]


def test_lines_of_stages_that_stand_alone(clock, capsys):
    with ol.Loop(None, callbacks=[Progress()]) as loop:
        loop.run.clock = clock
        for _ in loop.test([1.0] * 5):
            clock.now_s += 1
            loop.log(loss=0.5)
        for _ in loop.predict([1.0]):
            clock.now_s += 0.5
            loop.outputs = [1.0]
    assert capsys.readouterr().out.splitlines() == ["test  5 batches  5.0 s  loss 0.5000", "predict  1 batch  0.5 s"]


def test_an_epoch_that_was_cut_off_has_no_line(clock, capsys):
    def fail(epoch, batch):
        if (epoch, batch) == (1, 4):
            raise ZeroDivisionError("oh")

    with pytest.raises(ZeroDivisionError):
        train(clock, Progress(), body=fail)
    assert capsys.readouterr().out.splitlines() == [
        "epoch 1/3  8.0 s  loss 0.5000  accuracy 0.7500  val_loss 0.2500  (0:16 left)",
        "failed in epoch 2 after 0:09: ZeroDivisionError: oh",
    ]


def test_a_test_within_the_training_has_no_line_of_its_own(clock, capsys):
    train(clock, Progress(), epochs=1)
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize("name", ["dumb", "unknown"])
@on_terminal
def test_a_terminal_that_can_do_nothing_gets_lines(clock, terminal, monkeypatch, name):
    monkeypatch.setenv("TERM", name)
    train(clock, Progress(), epochs=1)
    assert terminal.getvalue() == "epoch 1/1  8.0 s  loss 0.5000  accuracy 0.7500  val_loss 0.2500\n"


def test_without_a_standard_output_nothing_is_shown(clock, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(clock, Progress())


def test_to_another_stream(clock, capsys):
    stream = io.StringIO()
    train(clock, Progress(stream=stream), epochs=1)
    assert stream.getvalue().startswith("epoch 1/1  8.0 s")
    assert capsys.readouterr().out == ""


def test_live_on_another_stream(clock, capsys):
    stream = Terminal()
    train(clock, Progress(stream=stream), body=lambda epoch, batch: print("printed") if batch == 10 else None)
    assert stream.screen[0].startswith("epoch 3/3 ━━━")
    assert capsys.readouterr().out == "printed\n" * 3


def test_lines_are_there_at_once(clock):
    class Buffered(io.StringIO):
        seen = ""

        def flush(self):
            self.seen = self.getvalue()

    stream = Buffered()
    train(clock, Progress(stream=stream), epochs=1)
    assert stream.seen.endswith("\n")


@on_terminal
def test_lines_can_be_asked_for_on_a_terminal(clock, terminal):
    train(clock, Progress(live=False), epochs=1)
    assert terminal.screen == ["epoch 1/1  8.0 s  loss 0.5000  accuracy 0.7500  val_loss 0.2500"]


# Bars, on a terminal.


@on_terminal
def test_bars_during_a_training(clock, terminal):
    peek = Peek(terminal, epoch=1, batch=9)
    train(clock, Progress(), peek)
    assert peek.screen == [
        "epoch 2/3   ━━━━━━━━━━━━━━━━━━━────────────────────  50% 0:14 left",
        "  loss 0.5000  accuracy 0.7500  val_loss 0.2500",
        "train 10/20 ━━━━━━━━━━━━━━━━━━━────────────────────  50% 0:02 left 4.0 batches/s",
        "  loss 0.5000  accuracy 0.7500",
    ]


@on_terminal
def test_bars_during_a_validation(clock, terminal):
    first, second = (Peek(terminal, epoch, 4, "on_test_batch_end") for epoch in (0, 1))
    train(clock, Progress(), first, second)
    assert first.screen[1] == "test  5/12 ━━━━━━━━━━━━━━━━────────────────────────  41% 0:02 left 4.0 batches/s"
    assert second.screen == [
        "epoch 2/3  ━━━━━━━━━━━━━━━━━━━━━━━━━━──────────────  66% 0:10 left",  # it does not go back to one third
        "  loss 0.5000  accuracy 0.7500  val_loss 0.2500",
        "test  5/12 ━━━━━━━━━━━━━━━━────────────────────────  41% 0:02 left 4.0 batches/s",
        "  loss 0.2500",
    ]


@on_terminal
def test_a_validation_that_nobody_announces_is_known_from_the_first_time(clock, terminal):
    """As in Keras, whose `params` are about the train batches also then."""
    run = Run(params={"epochs": 2, "steps": 1000})
    run.clock = clock
    dispatcher = Dispatcher([Progress()], run)
    dispatcher.on_train_begin()
    seen = []
    for epoch in range(2):
        dispatcher.on_epoch_begin(epoch)
        dispatcher.on_test_begin()
        for batch in range(4):
            clock.now_s += 1
            dispatcher.on_test_batch_end(batch, {})
            seen += [line.split()[:2] for line in terminal.screen if line.startswith("test")]
        dispatcher.on_test_end()
        dispatcher.on_epoch_end(epoch)
    dispatcher.on_train_end()
    assert seen == [["test", count] for count in ("1", "2", "3", "4", "1/4", "2/4", "3/4", "4/4")]


@on_terminal
def test_what_stays_when_it_is_over(clock, terminal):
    run = train(clock, Progress())
    assert run.outcome == "completed"
    assert terminal.screen == [
        "epoch 3/3 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 100% 0:24",
        "  loss 0.5000  accuracy 0.7500  val_loss 0.2500",
    ]
    assert terminal.shows_cursor
    assert sys.stdout is sys.stderr is terminal


@on_terminal
def test_bars_of_a_training_without_known_end(clock, terminal):
    peek = Peek(terminal, epoch=1, batch=9)
    train(clock, Progress(), peek, epochs=2, known=False, tests=0)
    assert peek.screen == [
        "epoch 2   0:08",
        "  loss 0.5000  accuracy 0.7500",
        "train 10  0:02 4.0 batches/s",
        "  loss 0.5000  accuracy 0.7500",
    ]
    assert terminal.screen == [
        "epoch 2  0:10",
        "  loss 0.5000  accuracy 0.7500",
        "stopped in epoch 2 after 0:10: enough",
    ]


@on_terminal
def test_bars_of_stages_that_stand_alone(clock, terminal):
    with ol.Loop(None, callbacks=[Progress()]) as loop:
        loop.run.clock = clock
        for batch, _ in enumerate(loop.test([1.0] * 8)):
            clock.now_s += 1
            loop.log(loss=0.5)
            if batch == 4:
                assert terminal.screen[0].startswith("test 4/8 ━━━━━━━━━━━━━━━━━━━━──")
        for batch, _ in enumerate(loop.predict([1.0] * 8)):
            clock.now_s += 1
            loop.outputs = [1.0]
            if batch == 4:
                assert terminal.screen[2].startswith("predict 4/8 ━━━━━━━━━━━━━━━━━━━──")
    assert terminal.screen == [
        "test 8/8 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 100% 0:08",
        "  loss 0.5000",
        "predict 8/8 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 100% 0:08",
    ]
    assert terminal.shows_cursor


@on_terminal
def test_a_test_within_a_train_batch(clock, terminal):
    with ol.Loop(None, callbacks=[Progress()]) as loop:
        loop.run.clock = clock
        for _ in loop.epochs(1):
            for batch, _ in enumerate(loop.train([1.0] * 4)):
                clock.now_s += 1
                loop.log(loss=0.5)
                if batch == 1:
                    for _ in loop.test([1.0] * 2):
                        clock.now_s += 1
                        loop.log(loss=0.25)
                    assert "  loss 0.2500" in terminal.screen
                if batch == 3:
                    assert any(line.startswith("train 3/4") for line in terminal.screen)


@on_terminal
def test_resumed_epochs(clock, terminal):
    class From(ol.Callback):
        def on_train_begin(self, logs=None):
            self.run.first_epoch = 2

    peek = Peek(terminal, epoch=2, batch=10)
    train(clock, From(), Progress(), peek)
    assert peek.screen[0].split() == ["epoch", "3/3", *peek.screen[0].split()[2:]]
    assert "0:02 left" in peek.screen[0]


# What others write meanwhile.


@on_terminal
def test_what_is_printed_appears_above(clock, terminal):
    def write(epoch, batch):
        if batch == 10:
            print("printed in epoch", epoch)
            print("to standard error", file=sys.stderr)

    train(clock, Progress(), body=write, epochs=2)
    screen = terminal.screen
    assert [line for line in screen if line.startswith(("printed", "to "))] == [
        "printed in epoch 0",
        "to standard error",
        "printed in epoch 1",
        "to standard error",
    ]
    assert sum(line.startswith("epoch") for line in screen) == 1
    assert screen[-2].startswith("epoch 2/2 ━━━")


@on_terminal
def test_a_line_that_was_begun_is_not_lost(clock, terminal):
    kept = []

    def write(epoch, batch):
        kept.append(sys.stdout)  # or else it would write what it has when it is thrown away
        if epoch == 2:
            print(".", end="")

    train(clock, Progress(), body=write, tests=0)
    assert terminal.screen[0] == "." * 20


@on_terminal
def test_logging_appears_above(clock, terminal):
    handler = logging.StreamHandler()  # keeps the stream that is there now
    logger = logging.getLogger("tests.progress")
    logger.addHandler(handler)
    try:
        train(clock, Progress(), body=lambda epoch, batch: logger.warning("logged") if batch == 10 else None)
    finally:
        logger.removeHandler(handler)
    assert terminal.screen.count("logged") == 3
    assert sum(line.startswith("epoch") for line in terminal.screen) == 1
    assert handler.stream is terminal


@on_terminal
def test_what_goes_to_a_file_goes_on_going_there(clock, terminal, monkeypatch):
    errors = io.StringIO()
    monkeypatch.setattr(sys, "stderr", errors)
    train(clock, Progress(), body=lambda epoch, batch: print("oh", file=sys.stderr) if batch == 10 else None)
    assert errors.getvalue() == "oh\n" * 3
    assert "oh" not in terminal.screen


# Whatever happens.


@pytest.mark.filterwarnings("error::onlooker.OnlookerWarning")
@pytest.mark.parametrize(
    ("error", "outcome"),
    [(ZeroDivisionError("oh"), "failed in epoch 2"), (KeyboardInterrupt(), "interrupted in epoch 2")],
)
@on_terminal
def test_a_training_that_is_cut_off_leaves_the_terminal_whole(clock, terminal, error, outcome):
    def fail(epoch, batch):
        if (epoch, batch) == (1, 4):
            raise error

    with pytest.raises(type(error)):
        train(clock, Progress(), body=fail)
    assert terminal.shows_cursor
    assert sys.stdout is terminal
    assert terminal.screen[-1].startswith(outcome)
    assert terminal.screen[0] == "epoch 2/3 ━━━━━━━━━━━━━───────────────────────────  33% 0:09"


@on_terminal
def test_a_hook_that_raises_leaves_the_terminal_whole(clock, terminal):
    class Faulty(ol.Callback):
        def on_test_begin(self, logs=None):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train(clock, Progress(), Faulty())
    assert terminal.shows_cursor
    assert sys.stdout is terminal


def test_an_output_that_fails_does_not_harm_the_training(clock):
    class Broken(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    with pytest.warns(OnlookerWarning, match=r"Progress.on_epoch_end, epoch 0: BrokenPipeError"):
        run = train(clock, Progress(stream=Broken()))
    assert run.outcome == "completed"


@on_terminal
def test_a_second_display_in_the_same_terminal_is_made_of_lines(clock, terminal):
    def nest(epoch, batch):
        if (epoch, batch) == (1, 10):
            train(clock, Progress(), epochs=2)

    train(clock, Progress(), body=nest)
    assert terminal.screen == [
        "epoch 1/2  8.0 s  loss 0.5000  accuracy 0.7500  val_loss 0.2500  (0:08 left)",
        "epoch 2/2  8.0 s  loss 0.5000  accuracy 0.7500  val_loss 0.2500",
        "epoch 3/3 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 100% 0:40",
        "  loss 0.5000  accuracy 0.7500  val_loss 0.2500",
    ]


@pytest.mark.parametrize("has_own_console", [True, False])
@on_terminal
def test_somebody_elses_live_display_is_left_alone(clock, terminal, has_own_console):
    from rich.console import Console
    from rich.live import Live

    console = Console(force_terminal=True) if has_own_console else None
    with Live("theirs", console=console, auto_refresh=False) as live:
        train(clock, Progress(), epochs=1)
        live.refresh()
    assert terminal.screen == ["epoch 1/1  8.0 s  loss 0.5000  accuracy 0.7500  val_loss 0.2500", "theirs"]
    assert terminal.shows_cursor


@on_terminal
def test_a_display_that_its_trainer_left_open_is_taken_down(clock, terminal):
    """As by Keras, which closes nothing when fit raises."""
    first = Dispatcher([Progress()], Run())
    first.on_train_begin()
    first.on_epoch_begin(0)
    first.on_train_batch_end(0, {"loss": 0.125})
    train(clock, Progress())
    assert terminal.screen[-2].startswith("epoch 3/3 ━━━")
    assert terminal.shows_cursor
    assert sys.stdout is terminal


@on_terminal
def test_the_same_instance_after_a_trainer_left_it_open(clock, terminal):
    progress = Progress()
    first = Dispatcher([progress], Run())
    first.on_train_begin()
    first.on_epoch_begin(0)
    train(clock, progress)
    assert terminal.screen[-2].startswith("epoch 3/3 ━━━")
    assert terminal.shows_cursor


def test_one_instance_in_two_trainings_and_an_evaluation(clock, capsys):
    progress = Progress()
    for _ in range(2):
        train(clock, progress, epochs=1)
    with ol.Loop(None, callbacks=[progress]) as loop:
        loop.run.clock = clock
        for _ in loop.test([1.0] * 5):
            loop.log(loss=0.5)
    line = "epoch 1/1  8.0 s  loss 0.5000  accuracy 0.7500  val_loss 0.2500"
    assert capsys.readouterr().out.splitlines() == [line, line, "test  5 batches  0.0 s  loss 0.5000"]


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
@on_terminal
def test_copies_show_nothing_of_what_is_under_way(clock, terminal, again):
    progress = Progress(refresh_interval_s=0.5)
    copies = []
    train(clock, progress, body=lambda epoch, batch: copies.append(again(progress)) if batch == 10 else None)
    assert len(copies) == 3
    assert copies[0].refresh_interval_s == 0.5
    written = len(terminal.getvalue())
    Dispatcher([copies[0]]).on_train_batch_end(0, {"loss": 0.5})
    assert len(terminal.getvalue()) == written


@on_terminal
def test_hooks_may_come_without_their_beginning(clock, terminal):
    """Gated by a trigger, or attached late."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dispatcher = Dispatcher([Progress()])
        dispatcher.on_train_batch_end(3, {"loss": 0.5})
        dispatcher.on_test_batch_end(3, {"loss": 0.5})
        dispatcher.on_epoch_begin(3)
        dispatcher.on_epoch_end(3, {"loss": 0.5})
        dispatcher.on_test_end({})
        dispatcher.on_predict_end({})
        dispatcher.on_train_end({})
        gated = Progress()
        gated.when = ol.every(epochs=2)
        train(clock, gated)
    assert terminal.shows_cursor


@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan")])
def test_a_bad_interval_is_refused(value):
    with pytest.raises(ValueError, match=f"refresh_interval_s={value}"):
        Progress(refresh_interval_s=value)


# What it costs.


def device_training(progress, clock, *, epochs, batches, batch_s):
    """Drive a callback as a host does whose values are on a device; return how often they were fetched."""
    library, run = CountingLibrary(), Run(params={"epochs": epochs, "steps": batches})
    run.clock = clock
    dispatcher = Dispatcher([progress], run)
    dispatcher.on_train_begin()
    for epoch in range(epochs):
        dispatcher.on_epoch_begin(epoch)
        for batch in range(batches):
            clock.now_s += batch_s
            dispatcher.on_train_batch_end(batch, LazyLogs({"loss": library.value(0.5), "accuracy": library.value(1.0)}))
        dispatcher.on_epoch_end(epoch, LazyLogs({"loss": library.value(0.5)}))
    dispatcher.on_train_end(LazyLogs({"loss": library.value(0.5)}))
    return len(library.transfers)


@on_terminal
def test_bars_wait_for_a_device_only_when_they_are_drawn(clock, terminal):
    """A thousand batches a second for ten seconds: ten looks a second."""
    transfers = device_training(Progress(), clock, epochs=1, batches=10_000, batch_s=0.001)
    assert 90 <= transfers <= 102


@on_terminal
def test_many_short_epochs_are_not_looked_at_each(clock, terminal):
    transfers = device_training(Progress(), clock, epochs=1000, batches=1, batch_s=0.001)
    assert 10 <= transfers <= 22  # of a batch and of the epoch before, at each look


@on_terminal
def test_the_interval_can_be_chosen(clock, terminal):
    transfers = device_training(Progress(refresh_interval_s=2.0), clock, epochs=1, batches=10_000, batch_s=0.001)
    assert 4 <= transfers <= 7


def test_lines_wait_for_a_device_once_an_epoch(clock, capsys):
    transfers = device_training(Progress(), clock, epochs=3, batches=1000, batch_s=1.0)
    assert transfers == 3


@on_terminal
def test_outputs_are_never_looked_at(clock, terminal):
    class Outputs:
        shape = ()

        def __float__(self):
            raise AssertionError("the outputs were read")

    run = Run(params={"steps": 4})
    run.clock = clock
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dispatcher = Dispatcher([Progress()], run)
        dispatcher.on_predict_begin()
        clock.now_s += 1
        dispatcher.on_predict_batch_end(0, {"outputs": Outputs()})
        assert terminal.screen[0].startswith("predict 1/4")
        dispatcher.on_predict_end({})


# In a process of its own.


SCRIPT = """
import onlooker as ol
with ol.Loop(None, callbacks=[ol.callbacks.Progress()]) as loop:
    for epoch in loop.epochs(2):
        for number in loop.train([1.0, 2.0]):
            loop.log(loss=number)
        print("printed after epoch", epoch)
"""


def test_a_pipe_gets_plain_lines():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "printed after epoch 0",
        "epoch 1/2  0.0 s  loss 1.500  (0:00 left)",
        "printed after epoch 1",
        "epoch 2/2  0.0 s  loss 1.500",
    ]
    assert done.stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_gets_bars():
    import pty  # not on Windows

    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "60", "PYTHONIOENCODING": "utf-8"}
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=slave, stderr=slave, env=environment) as process:
        os.close(slave)
        written = b""
        try:
            while part := os.read(master, 4096):
                written += part
        except OSError:  # how Linux says that the other side is gone
            pass
    os.close(master)
    assert process.returncode == 0
    screen, shows_cursor = render(written.decode())
    assert screen == [
        "printed after epoch 0",
        "printed after epoch 1",
        "epoch 2/2 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 100% 0:00",
        "  loss 1.500",
    ]
    assert shows_cursor
