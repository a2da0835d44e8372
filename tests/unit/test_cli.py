"""The command line: words, exit codes, and what the demo leaves."""

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
from PIL import Image

import onlooker
from onlooker.callbacks.image_grid import film
from onlooker.cli import main
from onlooker.core.declaration import ABILITIES, ABSENT
from onlooker.core.hooks import HOOKS
from onlooker.host_table import find_declarations


def demo(directory, *arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("error", onlooker.OnlookerWarning)
        return main(["demo", "--directory", str(directory), *arguments])


def contents(directory):
    return {path.name: path.read_bytes() for path in sorted(Path(directory).iterdir())}


def test_the_demo_leaves_pictures_a_strip_and_a_film(tmp_path, capsys):
    directory = tmp_path / "deep" / "pictures"
    assert demo(directory, "--epochs", "5", "--every", "2") == 0
    assert sorted(os.listdir(directory)) == [
        "digits-epoch-0000.png",
        "digits-epoch-0002.png",
        "digits-epoch-0004.png",
        "digits-strip.png",
        "digits.gif",
    ]
    with Image.open(directory / "digits.gif") as gif:
        assert gif.n_frames == 3
    with Image.open(directory / "digits-epoch-0004.png") as image:
        assert min(image.size) >= 480
        assert len(image.getcolors()) > 100, "shades of grey"
    summary = capsys.readouterr().out.splitlines()[-4:]
    assert summary[0].startswith("completed: 5 epochs in ")
    assert summary[1] == f"3 pictures in {directory}, and the film of them:"
    assert summary[2:] == [f"  {directory / name}" for name in ("digits-strip.png", "digits.gif")]


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        assert demo(tmp_path / name, "--epochs", "2", "--every", "1", "--seed", seed) == 0
    first, again, other = (contents(tmp_path / name) for name in "abc")
    assert len(first) == 5
    assert first == again
    assert all(first[name] != other[name] for name in first)


def test_drawing_more_often_changes_nothing(tmp_path):
    for every in ("1", "3"):
        assert demo(tmp_path / every, "--epochs", "3", "--every", every) == 0
    seldom, often = contents(tmp_path / "3"), contents(tmp_path / "1")
    assert len(often) == len(seldom) + 2
    assert often["digits-epoch-0003.png"] == seldom["digits-epoch-0003.png"]


def test_the_demo_draws_about_fifteen_times_by_itself(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("onlooker.cli._load_demo", lambda: lambda *given, **_: asked.append(given) or sys.exit(0))
    for epochs in ("120", "20", "3"):
        with pytest.raises(SystemExit):
            demo(tmp_path, "--epochs", epochs)
    assert [every for _, every, *_ in asked] == [8, 1, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "argument --epochs: expected a whole number of 1 or more, not '0'"),
        (["--epochs", "-3"], "argument --epochs: expected a whole number of 1 or more, not '-3'"),
        (["--epochs", "ten"], "argument --epochs: expected a whole number of 1 or more, not 'ten'"),
        (["--epochs", "1.5"], "not '1.5'"),
        (["--every", "0"], "argument --every: expected a whole number of 1 or more, not '0'"),
        (["--every", "9", "--epochs", "8"], "--every 9 is more than --epochs 8"),
        (["--seed", "-1"], "argument --seed: expected a whole number of 0 or more, not '-1'"),
        (["--seed", str(2**63)], f"argument --seed: expected a whole number below 2**63, not '{2**63}'"),
        (
            ["--epoks", "3"],
            "onlooker demo: unrecognized arguments: --epoks 3 (did you mean --epochs?); see onlooker demo",
        ),
        (["5"], "onlooker demo: unrecognized arguments: 5; see onlooker demo --help"),
        (["--directory", ""], "argument --directory: expected the path of a directory, not ''"),
    ],
)
def test_bad_arguments_give_one_line_and_exit_code_2(tmp_path, capsys, arguments, message):
    directory = tmp_path / "pictures"
    try:
        code = demo(directory, *arguments)
    except SystemExit as stop:  # argparse's own way
        code = stop.code
    assert code == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("onlooker")
    assert message in printed.err
    assert not directory.exists()


def test_a_directory_that_cannot_be_written_gives_one_line(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert demo(tmp_path / "file" / "pictures", "--epochs", "1") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith(f"onlooker demo: cannot write to directory '{tmp_path / 'file' / 'pictures'}': ")


@pytest.mark.parametrize(
    ("missing", "package"), [(("torch",), "torch"), (("sklearn", "sklearn.datasets"), "scikit-learn")]
)
def test_what_is_not_installed_is_named_with_the_command(tmp_path, capsys, monkeypatch, missing, package):
    monkeypatch.delitem(sys.modules, "onlooker.examples.gan_digits", raising=False)
    for module in missing:
        monkeypatch.setitem(sys.modules, module, None)  # what Python does with it: ModuleNotFoundError
    assert demo(tmp_path / "pictures", "--epochs", "1") == 2
    assert capsys.readouterr().err == f"onlooker demo: {package} is not installed; run: pip install 'onlooker[demo]'\n"


def test_a_bug_is_not_taken_for_something_missing(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "onlooker.examples.gan_digits", raising=False)
    monkeypatch.setitem(sys.modules, "onlooker.examples.gan_digits", None)
    with pytest.raises(ModuleNotFoundError):
        demo(tmp_path, "--epochs", "1")


def test_ctrl_c_before_the_training_gives_one_line(tmp_path, capsys, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr("onlooker.cli._load_demo", interrupt)
    assert demo(tmp_path, "--epochs", "1") == 130
    assert capsys.readouterr().err == "onlooker demo: interrupted\n"


@pytest.mark.slow
def test_ctrl_c_leaves_the_film_and_a_summary(tmp_path):
    command = [
        sys.executable,
        "-m",
        "onlooker.cli",
        "demo",
        "--epochs",
        "5000",
        "--every",
        "1",
        "--directory",
        str(tmp_path),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline_s = time.monotonic() + 120
        while not (tmp_path / "digits-epoch-0002.png").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in err
    drawings = [name for name in os.listdir(tmp_path) if name.startswith("digits-epoch-")]
    summary = out.splitlines()[-4:]
    assert summary[0].startswith(f"interrupted (Ctrl-C): {len(drawings) - 1} epochs in ")
    assert summary[1].startswith(f"{len(drawings)} pictures in ")
    with Image.open(tmp_path / "digits.gif") as gif:
        assert gif.n_frames == len(drawings)
    assert (tmp_path / "digits-strip.png").exists()
    assert len(os.listdir(tmp_path)) == len(drawings) + 2, "nothing half-written is left"


@pytest.mark.parametrize(("finished", "unfinished"), [([], "write_strip"), (["digits-strip.png"], "write_gif")])
def test_a_second_ctrl_c_leaves_a_summary_that_says_what_there_is(tmp_path, capsys, monkeypatch, finished, unfinished):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(film, unfinished, interrupt)
    assert demo(tmp_path, "--epochs", "1") == 130
    lines = capsys.readouterr().out.splitlines()
    colon = ":" if finished else ""
    index = lines.index(f"2 pictures in {tmp_path}; the film of them was not finished{colon}")
    assert lines[index + 1 :] == [f"  {tmp_path / name}" for name in finished]


def test_pictures_of_an_earlier_run_stay_and_are_told_apart(tmp_path, capsys):
    kept = {
        "digits-epoch-0009.png": b"",
        "digits-epoch-0120.png": b"",
        "holidays.png": b"",
        "other-epoch-0001.png": b"",
    }
    for name, content in kept.items():
        (tmp_path / name).write_bytes(content)
    assert demo(tmp_path, "--epochs", "1") == 0
    assert kept.items() <= contents(tmp_path).items()
    lines = capsys.readouterr().out.splitlines()
    assert f"2 pictures in {tmp_path}, and the film of them:" in lines
    assert lines[-1] == "2 more pictures there, of an earlier run"
    with Image.open(tmp_path / "digits.gif") as gif:
        assert gif.n_frames == 2


SIGNS = {"native": "+", "emulated": "~", "absent": "-"}


def test_hosts_prints_every_host_hook_and_ability(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["hosts"]) == 0
    printed = capsys.readouterr().out
    hosts = find_declarations()
    assert {"Loop", "Keras (torch)"} <= {host.name for host in hosts}
    assert all(host.name in printed and host.use in printed for host in hosts)
    cells = {
        line.split()[0]: line.split()[1:] for line in printed.splitlines() if line.startswith(" ") and line.split()
    }
    for ability in ABILITIES:
        assert cells[ability][: len(hosts)] == [SIGNS[host.abilities[ability].level] for host in hosts]
    for hook in HOOKS:
        levels = [host.hooks[hook].level for host in hosts]
        assert set(levels) == {"native"} or cells[hook][: len(hosts)] == [SIGNS[level] for level in levels]


@pytest.mark.parametrize("name", [host.name for host in find_declarations()])
def test_hosts_with_a_name_says_why(capsys, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["hosts", name]) == 0
    printed = capsys.readouterr().out
    words = " ".join(printed.split())
    (host,) = (host for host in find_declarations() if host.name == name)
    for support in (*host.hooks.values(), *host.abilities.values()):
        assert support.reason == "" or " ".join(support.reason.split()) in words
    others = [other.name for other in find_declarations() if not other.name.startswith(name)]
    assert not any(other + "  (tested" in printed for other in others)


def test_hosts_by_the_beginning_of_a_name(capsys):
    assert main(["hosts", "keras", "LOOP"]) == 0
    printed = capsys.readouterr().out
    assert printed.index("A  Keras (torch)") < printed.index("Loop  (tested")
    assert "Trainer  (tested" not in printed


def test_a_host_that_is_not_there(capsys):
    assert main(["hosts", "Kers"]) == 2
    assert capsys.readouterr().err.startswith("onlooker hosts: no host is called 'Kers'; did you mean 'Keras")
    assert main(["hosts", ""]) == 2
    assert capsys.readouterr().err.startswith("onlooker hosts: no host is called ''; known: Loop, Trainer")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("torch", ["Loop", "Trainer", "Keras (torch)"]),
        ("PyTorch", ["Loop", "Trainer", "Keras (torch)"]),
        ("jax", ["Loop (JAX)", "Keras (jax)"]),
        ("sklearn", ["scikit-learn (partial_fit)", "scikit-learn (warm_start)"]),
        ("loop", ["Loop", "Loop (JAX)"]),
    ],
)
def test_hosts_by_the_package_that_they_need(capsys, word, expected):
    assert main(["hosts", "--json", word]) == 0
    assert [host["name"] for host in json.loads(capsys.readouterr().out)] == expected


@pytest.mark.parametrize("arguments", [[], ["keras"]])
def test_hosts_fit_into_a_narrow_terminal(capsys, monkeypatch, arguments):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["hosts", *arguments]) == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert "on_predict_batch_end" in printed, "names are not cut"


def test_hosts_as_json(capsys):
    assert main(["hosts", "--json"]) == 0
    hosts = json.loads(capsys.readouterr().out)
    assert hosts == [host.as_dict() for host in find_declarations()]
    assert any(
        ability["level"] == ABSENT and ability["reason"] for host in hosts for ability in host["abilities"].values()
    )


@pytest.mark.parametrize("arguments", [["hosts"], ["hosts", "--json"]])
def test_whoever_reads_may_stop_reading(arguments):
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-m", "onlooker.cli", *arguments]
    done = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a disk that is always full")
@pytest.mark.parametrize("command", ["hosts", "demo"])
def test_a_full_disk_gives_one_line(tmp_path, command):
    arguments = {"hosts": ["hosts", "--json"], "demo": ["demo", "--directory", str(tmp_path)]}[command]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "onlooker.cli", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == f"onlooker {command}: cannot print: No space left on device\n"


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"onlooker {onlooker.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "onlooker: say which command: demo or hosts; see onlooker --help"),
        (["-v"], "onlooker: unrecognized arguments: -v; see onlooker --help"),
        (["demoo"], "onlooker: no command is called 'demoo' (did you mean demo?); see onlooker --help"),
        (["help"], "onlooker: no command is called 'help' (there are demo and hosts); see onlooker --help"),
        (
            ["hosts", "--jsn"],
            "onlooker hosts: unrecognized arguments: --jsn (did you mean --json?); see onlooker hosts --help",
        ),
    ],
)
def test_what_is_no_command_gets_one_line_that_says_what_there_is(capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert capsys.readouterr().err == f"{message}\n"


def test_python_m_onlooker_is_the_same():
    def call(*arguments):
        command = [sys.executable, "-m", "onlooker", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    assert call("--version") == (0, f"onlooker {onlooker.__version__}\n", "")
    assert call() == (2, "", "onlooker: say which command: demo or hosts; see onlooker --help\n")
    code, out, _ = call("hosts", "--json", "Loop")
    assert (code, json.loads(out)[0]["name"]) == (0, "Loop")
