"""A bar appears for whoever waits, and for nobody else."""

import inspect
import io
import sys

import pytest

import emcore
from emcore import _emcore
from emcore.core import progress_bar


class Terminal(io.StringIO):
    """Where somebody looks; `show` makes it stderr, in a test, as pytest has its own between fixtures and test."""

    def __init__(self, monkeypatch):
        super().__init__()
        self.monkeypatch = monkeypatch

    def isatty(self):
        return True

    def show(self):
        self.monkeypatch.setattr(sys, "stderr", self)


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr(progress_bar, "_PATIENCE", 0.0)
    return Terminal(monkeypatch)


@progress_bar.with_progress_bar
def work(seconds=0.0):
    """What takes a while, and says so."""
    callback = _emcore.set_progress(None)
    _emcore.set_progress(callback)
    if callback is not None:
        for done in range(1, 4):
            callback(done, 3)
    return callback is not None


def test_a_bar_is_shown_on_a_terminal_and_gone_afterwards(terminal):
    terminal.show()
    assert work()
    assert "work" in terminal.getvalue()
    assert "%" in terminal.getvalue()
    assert _emcore.set_progress(None) is None


def test_what_is_done_soon_shows_none(terminal, monkeypatch):
    terminal.show()
    monkeypatch.setattr(progress_bar, "_PATIENCE", 3600.0)
    assert work()
    assert terminal.getvalue() == ""


def test_it_is_switched_off_and_on(terminal):
    terminal.show()
    try:
        emcore.progress(False)
        assert not work()
        assert terminal.getvalue() == ""
    finally:
        emcore.progress(True)
    assert work()


def test_whoever_asked_to_be_told_is_told_instead(terminal):
    terminal.show()
    told = []
    with emcore.progress(lambda done, total: told.append((done, total))):
        assert work()
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert terminal.getvalue() == ""


def test_nobody_looks_where_there_is_no_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not work()


def test_workflows_have_bars_and_keep_their_signatures():
    for name in ("unmix", "segment_grains", "cluster_diffraction", "correlate", "analyze_image"):
        function = getattr(emcore, name)
        assert hasattr(function, "__wrapped__"), name
        assert "memory" in inspect.signature(function).parameters
