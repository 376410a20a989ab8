"""The name of a holder says which process it was, and never takes another process for it."""

from __future__ import annotations

import os
from dataclasses import replace

from lanes.issues.trackers import OURS, dead_holder, foreign_holder
from trailblazer.lanes.issues.holder import Holder, Life, is_dead, life_of, own_holder, own_prefix, read_holder


def ours() -> Holder:
    """Return the holder of this process."""
    found = read_holder(OURS)
    assert found is not None
    return found


def test_this_process_lives() -> None:
    """The name of a holder is read back, and its process is known to live."""
    assert OURS == str(ours())
    assert os.getpid() == ours().pid
    assert Life.ALIVE is life_of(OURS)
    assert OURS.startswith(own_prefix())
    assert "20261121T031700Z" == ours().dispatch


def test_a_process_that_ended_is_dead() -> None:
    """A holder of this host whose process has ended is dead."""
    assert Life.DEAD is life_of(dead_holder())
    assert is_dead("bd-1", dead_holder())


def test_a_pid_that_is_used_again_is_another_process() -> None:
    """The same pid with another start, or in another boot, is a process that is gone."""
    assert Life.DEAD is replace(ours(), ticks=1).life()
    assert Life.DEAD is replace(ours(), boot="00000000").life()


def test_what_this_host_cannot_judge_is_unknown() -> None:
    """Another host, another container, a name without a start, a person: none of them is called dead."""
    unknown = [foreign_holder(), str(replace(ours(), namespace="1")), str(replace(ours(), ticks=None)), "Ada", ""]
    assert [Life.UNKNOWN] * 5 == [life_of(name) for name in unknown]


def test_a_name_of_a_hostile_form_is_a_name_of_nobody() -> None:
    """Only the whole form is a holder."""
    names = [
        OURS + " ",
        OURS + "\n",
        "x" + OURS,
        "trailblazer@a/b/1#x",
        "trailblazer@h/99999999999#x",
        "trailblazer@h/1#",
    ]
    assert [None] * len(names) == [read_holder(name) for name in names]


def test_a_holder_is_the_same_in_each_call() -> None:
    """A process has one name in a dispatch."""
    assert own_holder("d") == own_holder("d")
