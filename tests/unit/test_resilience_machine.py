"""The breaker's rules, beside a model that remembers everything and counts it anew each time."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from quotekit.resilience import machine
from quotekit.resilience.machine import DEFAULT, HIRING, Counts, Override, State

START = 1_763_812_800.0


class Model:
    """A breaker that keeps every result with its time, and derives all it says from the list."""

    def __init__(self, profile, now):
        self.profile = profile
        self.phase, self.since = "closed", 0.0
        self.results = []  # of this phase or step
        self.step = 0
        self.probes = {}
        self.override = None
        self.now = now

    def enter(self, phase, step=0):
        self.phase, self.since, self.step = phase, self.now, step
        self.results, self.probes = [], {}

    def advance(self, seconds):
        self.now += seconds
        if self.override and self.now >= self.override[1]:
            self.override = None
        self.probes = {name: end for name, end in self.probes.items() if end > self.now}
        if (
            self.phase == "open"
            and not self.override
            and self.now - self.since >= self.profile.open_for
        ):
            self.enter("half_open")
        self.climb()

    def window(self):
        width = self.profile.window / 12
        newest = self.now // width
        return [ok for moment, ok in self.results if newest - moment // width < 12]

    def result(self, *, ok):
        if self.phase == "half_open" and self.profile.shares:
            self.results.append((self.now, ok))
            self.climb()
        elif self.phase == "closed":
            self.results.append((self.now, ok))
            counted = self.window()
            half = counted.count(False) * 2 >= len(counted) >= 10
            last = [ok for _, ok in self.results[-5:]]
            if not self.override and (half or last == [False] * 5):
                self.enter("open")

    def climb(self):
        if self.phase != "half_open" or not self.profile.shares or len(self.results) < 5:
            return
        bad = [ok for _, ok in self.results].count(False)
        if bad * 2 >= len(self.results):
            self.enter("open")
        elif self.now - self.since >= 60:
            if self.step == 3:
                self.enter("closed")
            else:
                self.enter("half_open", self.step + 1)

    def probe(self, name, seconds):
        good = len(self.results)
        wanted = self.phase == "half_open" and not self.profile.shares and not self.override
        if wanted and len(self.probes) + good < 3:
            self.probes[name] = self.now + seconds
            return True
        return False

    def conclude(self, name, ok):
        if self.probes.pop(name, None) is None or ok is None:
            return
        if not ok:
            self.enter("open")
            return
        self.results.append((self.now, True))
        if len(self.results) == 3:
            self.enter("closed")


class Comparison(RuleBasedStateMachine):
    profile = DEFAULT

    @initialize()
    def begin(self):
        self.state = State()
        self.model = Model(self.profile, START)
        self.names = []

    @property
    def now(self):
        return self.model.now

    @rule(ok=st.booleans(), times=st.integers(1, 6))
    def some_calls_end(self, ok, times):
        for _ in range(times):
            single = Counts(self.now, 0, 0, 0).and_then(ok=ok)
            self.state = machine.observe(self.state, self.profile, [single], self.now)
            self.model.result(ok=ok)

    @rule(results=st.lists(st.booleans(), min_size=1, max_size=9))
    def another_process_tells_of_its_calls(self, results):
        """All at once; the machine sees sums, so only what the order within cannot change."""
        if self.model.phase != "closed" or self.model.override is None:
            return  # a batch trips at its end, single calls may trip in between
        counts = Counts(self.now, 0, 0, 0)
        for ok in results:
            counts = counts.and_then(ok=ok)
            self.model.result(ok=ok)
        self.state = machine.observe(self.state, self.profile, [counts], self.now)

    @rule(seconds=st.sampled_from([0.5, 1, 4, 5, 11, 29, 31, 59, 60, 61, 120, 299, 301]))
    def time_passes(self, seconds):
        self.model.advance(seconds)
        self.state = machine.settle(self.state, self.profile, self.now)

    @rule(seconds=st.sampled_from([1, 30, 100]))
    def somebody_asks_for_a_probe(self, seconds):
        name = f"probe-{len(self.names)}"
        self.state = machine.probed(
            self.state, self.profile, self.now, holder=name, seconds=seconds
        )

        assert (name in self.state.probes) == self.model.probe(name, seconds)
        self.names.append(name)

    @precondition(lambda self: self.names)
    @rule(data=st.data(), ok=st.sampled_from([True, True, False, None]))
    def a_probe_ends_or_one_that_was_refused_or_late_says_so(self, data, ok):
        name = data.draw(st.sampled_from(self.names[-6:]))
        self.state = machine.concluded(self.state, self.profile, self.now, holder=name, ok=ok)
        self.model.conclude(name, ok)

    @rule(phase=st.sampled_from(["closed", "open"]), seconds=st.sampled_from([10, 70]))
    def an_operator_decides(self, phase, seconds):
        self.state = replace(self.state, override=Override(phase, self.now + seconds))
        self.model.override = (phase, self.now + seconds)

    @invariant()
    def both_say_the_same(self):
        state, model = self.state, self.model
        assert (state.phase, state.step, state.probes) == (model.phase, model.step, model.probes)
        let_in = (model.override[0] if model.override else model.phase) == "closed"
        if self.profile.shares and model.phase == "half_open" and not model.override:
            share = [0.1, 0.25, 0.5, 1.0][model.step]
            assert admits(state, self.profile, self.now, share - 0.01)
            assert not admits(state, self.profile, self.now, share)
        else:
            assert admits(state, self.profile, self.now, 0.0) == let_in


def admits(state, profile, now, draw):
    return machine.admits(state, profile, now, draw=draw)


class HiringComparison(Comparison):
    profile = HIRING


TestTheDefaultProfile = Comparison.TestCase
TestTheDefaultProfile.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestTheHiringProfile = HiringComparison.TestCase
TestTheHiringProfile.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def after(*results, profile=DEFAULT, every=1.0, state=None, now=START):
    state = state or State()
    for number, ok in enumerate(results):
        single = Counts(now + number * every, 0, 0, 0).and_then(ok=ok)
        state = machine.observe(state, profile, [single], now + number * every)
    return state


def test_five_failures_in_a_row_open_it():
    assert after(*[False] * 4).phase == "closed"
    assert after(*[False] * 5).phase == "open"


def test_half_of_ten_calls_open_it_and_half_of_nine_do_not():
    assert after(*[True, False] * 4, True).phase == "closed"
    assert after(*[True, False] * 5).phase == "open"


def test_failures_older_than_the_window_no_longer_count():
    state = after(*[True, False] * 4)

    assert after(True, False, state=state, now=START + 9).phase == "open"
    assert after(True, False, state=state, now=START + 75).phase == "closed"


def test_results_told_late_count_in_their_own_time():
    late = Counts(START - 61, 20, 20, 20)

    assert machine.observe(State(), DEFAULT, [late], START).phase == "closed"


def test_an_open_breaker_lets_nobody_in_for_its_time_and_then_some_probes():
    state = after(*[False] * 5)
    opened = START + 4

    assert not admits(state, DEFAULT, opened + 59, 0.0)
    ready = machine.settle(state, DEFAULT, opened + 60)
    for name in "abcd":
        ready = machine.probed(ready, DEFAULT, opened + 60, holder=name, seconds=30)
    assert sorted(ready.probes) == ["a", "b", "c"]


def half_open(profile=DEFAULT):
    return machine.settle(State("open", START, 1), profile, START + profile.open_for)


def probing(*names):
    state, now = half_open(), START + 60
    for name in names:
        state = machine.probed(state, DEFAULT, now, holder=name, seconds=30)
    return state, now


def test_three_good_probes_close_it():
    state, now = probing("a", "b", "c")

    for name in "abc":
        state = machine.concluded(state, DEFAULT, now, holder=name, ok=True)

    assert (state.phase, state.totals) == ("closed", (0, 0))


def test_one_bad_probe_opens_it_again_for_the_whole_time():
    state, now = probing("a", "b")

    state = machine.concluded(state, DEFAULT, now + 5, holder="a", ok=False)

    assert (state.phase, state.since) == ("open", now + 5)
    assert machine.concluded(state, DEFAULT, now + 6, holder="b", ok=True).phase == "open"


def test_the_slot_of_a_probe_that_died_comes_back():
    state, now = probing("a", "b", "c")

    state = machine.probed(state, DEFAULT, now + 31, holder="d", seconds=30)

    assert sorted(state.probes) == ["d"]


def test_hiring_recovers_in_four_steps_of_a_minute_and_five_calls():
    state, now = half_open(HIRING), START + 300
    shares = []

    for _ in range(4):
        shares.append(HIRING.shares[state.step])
        state = after(*[True] * 5, profile=HIRING, state=state, now=now)
        assert machine.settle(state, HIRING, now + 59).step == state.step
        now += 60
        state = machine.settle(state, HIRING, now)

    assert (shares, state.phase) == ([0.1, 0.25, 0.5, 1.0], "closed")


def test_hiring_opens_again_when_half_of_a_steps_calls_fail():
    state = after(
        True, True, False, False, profile=HIRING, state=half_open(HIRING), now=START + 300
    )

    assert state.phase == "half_open"
    assert after(False, profile=HIRING, state=state, now=START + 305).phase == "open"


@pytest.mark.parametrize(("phase", "lets_in"), [("closed", True), ("open", False)])
def test_an_operators_word_holds_until_its_time(phase, lets_in):
    state = replace(after(*[False] * 5), override=Override(phase, START + 30))

    assert admits(state, DEFAULT, START + 29, 0.5) is lets_in
    assert not admits(state, DEFAULT, START + 31, 0.5)


def test_failures_under_a_closed_override_open_it_when_it_ends():
    state = State(override=Override("closed", START + 20))

    state = after(*[False] * 9, state=state)

    assert state.phase == "closed"
    assert after(False, state=state, now=START + 21).phase == "open"
