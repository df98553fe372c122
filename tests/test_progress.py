"""Progress: one line on a terminal, whole lines in a file, a widget in a notebook, never stdout."""

import fcntl
import gc
import importlib.util
import io
import itertools
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from types import ModuleType, SimpleNamespace

import pytest

from chainrule import progress

# Run in a process of its own: 200 epochs of a clock that goes on by 0.05 s per epoch.
PROGRAM = """
import sys
from chainrule import progress
if {without_tqdm}:
    sys.modules["tqdm"] = None
now = 100.0
progress.time.perf_counter = lambda: now
bar = progress.Progress({epochs}, rows=50)
for epoch in range(1, {epochs} + 1):
    now += 0.05
    bar.update(epoch, 1 / epoch, 0.5)
    if epoch == {last}:
        break
bar.close()
print("done", file=sys.stderr)
"""


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(progress.time, "perf_counter", lambda: clock.now)
    return clock


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    """An environment that asks for nothing."""
    monkeypatch.setenv("TERM", "xterm")
    for name in ("COLUMNS", "NO_COLOR", "TQDM_COLOUR", "TQDM_DISABLE"):
        monkeypatch.delenv(name, raising=False)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def train(clock, epochs=100, seconds=0.3, val_cost=0.5, last=None):
    bar = progress.Progress(epochs, rows=50)
    for epoch in range(1, (last or epochs) + 1):
        clock.now += seconds
        bar.update(epoch, 1 / epoch, val_cost)
    bar.close()


def screen_of(written, columns):
    """What a terminal of so many columns shows in the end; only CR and LF may move its cursor."""
    lines, column = [""], 0
    for character in written:
        if character == "\r":
            column = 0
        elif character == "\n":
            lines.append("")
            column = 0
        else:
            assert character.isprintable(), repr(character)
            if column == columns:
                lines.append("")
                column = 0
            line = lines[-1].ljust(column)
            lines[-1] = line[:column] + character + line[column + 1 :]
            column += 1
    return [line.rstrip() for line in lines]


def in_terminal(columns, epochs=200, last=0, without_tqdm=False, **environment):
    """Run PROGRAM with stderr on a pseudo-terminal; return all that was written to it."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    program = PROGRAM.format(epochs=epochs, last=last, without_tqdm=without_tqdm)
    read = []

    def reader():
        while True:
            try:
                data = os.read(controller, 4096)
            except OSError:
                return
            if not data:
                return
            read.append(data)

    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=terminal,
        env={**os.environ, **environment},
    ) as process:
        os.close(terminal)
        thread = threading.Thread(target=reader)
        thread.start()
        assert process.stdout.read() == b""
        assert process.wait(60) == 0
        thread.join(10)
    os.close(controller)
    return b"".join(read).decode().replace("\r\n", "\n")  # the terminal's driver adds the CR


# --- a terminal -----------------------------------------------------------------------------------


SHOWN = ["epoch 200/200", "cost 0.005", "validation 0.5", "1k rows/s"]


@pytest.mark.parametrize(
    ("columns", "parts"), [(200, 4), (100, 4), (80, 4), (60, 3), (40, 2), (25, 2), (12, 1)]
)
def test_one_line_as_wide_as_the_terminal(columns, parts):
    pytest.importorskip("tqdm")
    written = in_terminal(columns)
    lines = screen_of(written, columns)
    assert lines[1:] == ["done", ""], lines
    assert len(lines[0]) < columns
    assert written.count("\r") > 50  # rewritten
    if parts == 1:
        assert lines[0] == SHOWN[0][: columns - 1]
        return
    text = ", ".join(SHOWN[1:parts])
    bar = re.fullmatch(rf"{SHOWN[0]}(?: \|(.+)\|)? {text}", lines[0])[1]
    assert (bar is not None) == (columns >= 40)
    assert bar is None or set(bar) == {"\u2588"}
    assert (" s left" in written) == (columns >= 80)


@pytest.mark.parametrize(
    ("columns", "parts"), [(200, 4), (80, 4), (60, 4), (50, 3), (30, 2), (20, 1), (12, 1)]
)
def test_the_line_without_a_bar(columns, parts):
    written = in_terminal(columns, without_tqdm=True)
    lines = screen_of(written, columns)
    expected = f"{SHOWN[0]}  {', '.join(SHOWN[1:parts])}".rstrip()[: columns - 1]
    assert lines == [expected, "done", ""]
    assert written.count("\r") > 50


def test_a_line_that_gets_shorter_leaves_nothing_behind(monkeypatch, clock):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setitem(sys.modules, "tqdm", None)
    bar = progress.Progress(2, rows=50)
    clock.now += 1
    bar.update(1, 1.2345e-300, 1.2345e-300)
    clock.now += 1
    bar.update(2, 1.0, None)
    bar.close()
    assert screen_of(sys.stderr.getvalue(), 79) == ["epoch 2/2  cost 1, 50 rows/s", ""]


@pytest.mark.parametrize("without_tqdm", [False, True])
def test_ten_times_a_second(monkeypatch, clock, without_tqdm):
    if without_tqdm:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    else:
        pytest.importorskip("tqdm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", "100")
    train(clock, seconds=0.02)
    drawn = sys.stderr.getvalue().split("\r")
    assert "epoch 100/100 " in drawn[-1]
    assert "cost 0.01, validation 0.5, 2.5k rows/s" in drawn[-1]
    assert drawn[-1].endswith("\n")
    assert 15 < len(drawn) < 30


def test_a_training_that_stops_early_in_a_terminal():
    pytest.importorskip("tqdm")
    lines = screen_of(in_terminal(90, last=3), 90)
    assert lines[0].startswith("epoch   3/200 |")
    assert "cost 0.3333, validation 0.5" in lines[0]
    assert lines[1:] == ["done", ""]


def test_a_terminal_that_says_it_has_no_columns():
    pytest.importorskip("tqdm")
    lines = screen_of(in_terminal(0), 80)
    assert len(lines) == 3
    assert len(lines[0]) <= 79


def test_the_width_is_that_of_the_terminal_of_stderr_not_of_stdout(monkeypatch):
    """With stdout in a pipe `shutil.get_terminal_size` says 80."""
    pytest.importorskip("tqdm")
    assert len(screen_of(in_terminal(150), 150)[0]) > 120


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_dumb_terminal_gets_whole_lines(term):
    written = in_terminal(80, TERM=term)
    assert "\r" not in written
    assert written.splitlines()[-2:] == ["epoch 200/200  cost 0.005, validation 0.5, 1k rows/s",
                                         "done"]  # fmt: skip


def test_no_color():
    pytest.importorskip("tqdm")
    assert "\x1b" in in_terminal(80, TQDM_COLOUR="red")  # tqdm's own wish is granted
    assert "\x1b" not in in_terminal(80, TQDM_COLOUR="red", NO_COLOR="1")


# --- a file ---------------------------------------------------------------------------------------


def test_whole_lines_in_a_file(capsys, clock):
    train(clock)
    out, err = capsys.readouterr()
    assert out == ""
    assert "\r" not in err
    lines = err.splitlines()
    assert lines[0] == "epoch   4/100  cost 0.25, validation 0.5, 167 rows/s, 29 s left"
    assert lines[-1] == "epoch 100/100  cost 0.01, validation 0.5, 167 rows/s"
    assert max(map(len, lines)) <= 80


def test_metrics_are_shown_in_their_order(capsys, clock):
    bar = progress.Progress(2, rows=50)
    clock.now += 1
    bar.update(1, 1.0, 2.0, {"r2": 0.51234567, "mae": 3.0})
    bar.close()
    assert ", validation 2, r2 0.5123, mae 3, 50 rows/s" in capsys.readouterr().err


def test_a_long_training_writes_few_lines(capsys, clock):
    train(clock, epochs=3600, seconds=1.0)
    lines = capsys.readouterr().err.splitlines()
    assert 30 < len(lines) < 100
    assert lines[0].endswith(", 1:00 h left")
    epochs = [int(re.match(r"epoch +(\d+)", line)[1]) for line in lines]
    gaps = [after - before for before, after in itertools.pairwise(epochs)]
    assert max(gaps) <= 61  # a sign of life each minute
    assert gaps[:-1] == sorted(gaps[:-1])


def test_a_short_or_stopped_training_in_a_file(capsys, clock):
    train(clock, seconds=0.003, val_cost=float("nan"), last=3)
    assert capsys.readouterr().err == "epoch   3/100  cost 0.3333, 16.7k rows/s, 0 s left\n"
    progress.Progress(5, 5).close()
    assert capsys.readouterr().err == ""


def test_each_line_is_written_in_one_piece(monkeypatch, clock):
    """Two processes may write to one log."""
    written = []
    stream = SimpleNamespace(write=written.append, flush=lambda: None, isatty=lambda: False)
    monkeypatch.setattr(sys, "stderr", stream)
    train(clock)
    assert len(written) > 5
    assert all(text.endswith("\n") and text.count("\n") == 1 for text in written)


# --- a notebook -----------------------------------------------------------------------------------


@pytest.fixture
def notebook(monkeypatch):
    """IPython with a kernel, as seen from inside a notebook; what its bar is told."""
    tqdm = pytest.importorskip("tqdm")
    ipython = ModuleType("IPython")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    find = importlib.util.find_spec
    there = SimpleNamespace(ipywidgets=True, bars=[])
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: there.ipywidgets if name == "ipywidgets" else find(name),
    )

    class Widget(tqdm.tqdm):
        def __init__(self, **options):
            super().__init__(file=io.StringIO(), **options)
            self.shown = []
            there.bars.append(self)

        def refresh(self, *_, **__):
            if hasattr(self, "shown"):
                self.shown.append((self.n, self.total, self.bar_format))

        def close(self):
            self.refresh()
            super().close()

    fake = ModuleType("tqdm.notebook")
    fake.tqdm = Widget
    monkeypatch.setitem(sys.modules, "tqdm.notebook", fake)
    return there


def test_a_widget_in_a_notebook(notebook, capsys, clock):
    train(clock, seconds=0.06)
    assert capsys.readouterr() == ("", "")
    (bar,) = notebook.bars
    n, total, text = bar.shown[-1]
    assert (n, total) == (100, 100)
    assert re.fullmatch(r"epoch 100/100 \|\{bar\}\| cost 0.01, validation 0.5, 833 rows/s *", text)
    assert 40 < len(bar.shown) < 60
    train(clock, last=7)  # tqdm paints a bar red that closes below its total
    assert notebook.bars[1].shown[-1][:2] == (7, 7)


def test_whole_lines_in_a_notebook_without_widgets(notebook, capsys, clock):
    notebook.ipywidgets = None
    train(clock)
    out, err = capsys.readouterr()
    assert (out, notebook.bars) == ("", [])
    assert err.endswith("\nepoch 100/100  cost 0.01, validation 0.5, 167 rows/s\n")
    assert "\r" not in err


def test_ipython_without_a_kernel_is_no_notebook(notebook, capsys, clock, monkeypatch):
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", SimpleNamespace)
    train(clock)
    assert notebook.bars == []
    assert "epoch 100/100" in capsys.readouterr().err


def test_whole_lines_in_a_notebook_without_tqdm(notebook, capsys, clock, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.notebook", None)
    train(clock)
    assert "epoch 100/100" in capsys.readouterr().err


# --- nobody reads ---------------------------------------------------------------------------------


def test_progress_without_stderr(monkeypatch, clock):
    monkeypatch.setattr(sys, "stderr", None)
    train(clock)


@pytest.mark.parametrize("tty", [False, True])
@pytest.mark.parametrize("without_tqdm", [False, True])
@pytest.mark.parametrize("good", [0, 5])
def test_a_training_goes_on_when_nobody_reads(monkeypatch, clock, tty, without_tqdm, good):
    if without_tqdm:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    tried = []

    class Broken(io.StringIO):
        def isatty(self):
            return tty

        def write(self, text):
            tried.append(text)
            if len(tried) > good:
                raise BrokenPipeError
            return len(text)

    monkeypatch.setattr(sys, "stderr", Broken())
    train(clock)
    gc.collect()  # a bar tries again when it is deleted
    assert len(tried) == good + 1


def test_a_reader_that_goes_away_while_training():
    program = PROGRAM.format(epochs=2000, last=0, without_tqdm=False)
    program = program.replace('print("done", file=sys.stderr)', 'print("done")')
    program = program.replace("now += 0.05", "now += 1.5")
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stderr.close()
        assert process.stdout.read() == b"done\n"
        assert process.wait(60) == 0


# --- numbers --------------------------------------------------------------------------------------


def test_short_numbers():
    numbers = [0, 1.23, 12.3, 999.4, 999.6, 1234, 999_900, 1.5e6, 2e9, 3e13]
    assert [progress.short(n) for n in numbers] == [
        "0", "1.23", "12.3", "999", "1k", "1.23k", "1M", "1.5M", "2G", "3e+04G",
    ]  # fmt: skip


def test_durations():
    seconds = [0, 0.4, 1, 59, 59.6, 60, 61, 3569, 3580, 3600, 7325, 1e6]
    assert [progress._duration(s) for s in seconds] == [
        "0 s", "0 s", "1 s", "59 s", "1:00 min", "1:00 min", "1:01 min", "59:29 min", "1:00 h",
        "1:00 h", "2:02 h", "277:47 h",
    ]  # fmt: skip
