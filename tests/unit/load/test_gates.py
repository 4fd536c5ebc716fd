"""Load gates: a run that breaks one is reported as failed, by that gate and by the exit code."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from load import __main__ as command
from load import gates
from load.gates import Facts, Sample
from load.running import LoadError, Stack
from load.scenarios import SCENARIOS

SPEC: Final = {
    *("sustained", "burst", "concurrent", "breaker", "stress", "concurrency-discovery"),
    *("idempotency", "quick"),
}


def sample(at: float = 0.0, seconds: float = 0.1, status: int = 200, **more: Any) -> Sample:
    return Sample(at, seconds, status, more.pop("failed", status >= 400), **more)


def good() -> Facts:
    """A run that passes every gate of every scenario."""
    return Facts(
        samples=[sample(at=number * 1.0) for number in range(200)],
        accepted=200,
        settled=200,
        waits={"critical": [0.1] * 20, "standard": [0.2] * 20, "bulk": [0.5] * 20},
        opens=0,
        met_failure=40,
        rescued=39,
        refused=0,
        repeats=100,
        detected=100,
        replayed=95,
        effects={"a": 1, "b": 1},
    )


def with_samples(*worse: Sample) -> Callable[[Facts], Facts]:
    return lambda facts: replace(facts, samples=[*facts.samples, *worse])


def with_facts(**worse: Any) -> Callable[[Facts], Facts]:
    return lambda facts: replace(facts, **worse)


def slow(seconds: float) -> Callable[[Facts], Facts]:
    return with_samples(*(sample(at=900, seconds=seconds) for _ in range(400)))


FAILING: Final = with_samples(*(sample(at=900 + n, status=503) for n in range(250)))
VIOLATIONS: Final[dict[str, Callable[[Facts], Facts]]] = {
    "errors": FAILING,
    "failures": FAILING,
    "successes": FAILING,
    "p95": slow(9.0),
    "p50": slow(9.0),
    "answers 429": with_samples(sample(status=429)),
    "throttled": with_samples(*(sample(at=n, status=503, throttled=True) for n in range(100))),
    "queue wait p95": with_facts(waits={"critical": [0.1], "bulk": [50.0] * 9}),
    "accepted and not settled": with_facts(settled=199),
    "breaker opened": with_facts(opens=10),
    "rescued of those that met a failure": with_facts(rescued=32),
    "in flight at most": with_samples(*(sample(at=900) for _ in range(100))),
    "critical waits less than bulk, p95": with_facts(waits={"critical": [0.5], "bulk": [0.5]}),
    "duplicates detected": with_facts(detected=80),
    "answered from what is kept": with_facts(replayed=70),
    "races": with_facts(effects={"a": 11}),
    "side effects beyond one for a key": with_facts(effects={"a": 2}),
    "keys without a side effect": with_facts(effects={"a": 0}),
}
GATES: Final = [(scenario.name, gate) for scenario in SCENARIOS.values() for gate in scenario.gates]


def test_the_scenarios_are_those_of_the_specification() -> None:
    assert SCENARIOS.keys() == SPEC


@pytest.mark.parametrize(("name", "gate"), GATES, ids=str)
def test_a_good_run_passes_and_a_run_that_breaks_the_gate_fails(
    name: str, gate: gates.Gate
) -> None:
    passed = gate.judge(good())
    broken = gate.judge(VIOLATIONS[gate.name](good()))

    assert passed.passed, str(passed)
    assert not broken.passed, str(broken)
    assert "FAIL" in str(broken)


@pytest.mark.parametrize(("name", "gate"), GATES, ids=str)
def test_what_was_not_measured_does_not_pass(name: str, gate: gates.Gate) -> None:
    verdict = gate.judge(Facts(samples=[]))

    if verdict.measured is None:
        assert not verdict.passed
        assert "not measured" in str(verdict)
    else:
        assert verdict.measured == 0  # nothing was refused where nothing was asked


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_command_ends_with_1_when_a_single_gate_is_broken(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for gate in SCENARIOS[name].gates:
        codes, said = [], []
        for facts in (good(), VIOLATIONS[gate.name](good())):
            monkeypatch.setattr(command, "run", lambda *_, facts=facts, **__: facts)
            monkeypatch.setattr(Stack, "running", lambda _: None)
            codes.append(command.main([name]))
            said.append(capsys.readouterr().out.splitlines()[-1])

        assert codes == [0, 1]
        assert said == ["PASS", "FAIL"]


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(number) for number in range(1, 101)]

    assert gates.percentile(values, 95) == 95
    assert gates.percentile(values, 50) == 50
    assert gates.percentile([3.0], 95) == 3
    assert gates.percentile([], 95) is None


def test_a_request_without_an_answer_is_an_error_and_no_latency() -> None:
    facts = Facts(samples=[sample(), sample(seconds=35, status=0, failed=True)])

    assert gates.errors(facts) == 50
    assert gates.latency(95)(facts) == 0.1


def test_requests_that_touch_do_not_overlap() -> None:
    apart = Facts(samples=[sample(at=0, seconds=1), sample(at=1, seconds=1)])
    over = Facts(samples=[sample(at=0, seconds=1), sample(at=0.5, seconds=1)])

    assert (gates.in_flight(apart), gates.in_flight(over)) == (1, 2)


def test_latency_doubles_at_the_first_number_of_users_where_its_median_does() -> None:
    first = [sample(at=n * 0.01, seconds=0.1, users=1) for n in range(100)]
    later = [sample(at=9, seconds=0.15, users=5), sample(at=10, seconds=0.2, users=9)]
    most = [sample(at=11, seconds=0.9, users=20)]

    assert gates.doubled_at([*first, *later, *most]) == 9
    assert gates.doubled_at([*first, *later[:1]]) is None
    assert gates.doubled_at([]) is None


def test_scaling_keeps_each_phase_its_part_of_the_time() -> None:
    discovery = SCENARIOS["concurrency-discovery"]

    whole, part = discovery.scaled(1, 10_000), discovery.scaled(0.1, 40)

    assert list(discovery.phases) == whole
    assert sum(phase.seconds for phase in part) == pytest.approx(40)
    assert [phase.users for phase in part] == [1, 3, 5, 8, 4, 10, 5]
    assert [phase.requests for phase in part][-2:] == [100, 50]


def test_the_result_says_how_much_was_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "run", lambda *_, **__: good())
    monkeypatch.setattr(Stack, "running", lambda _: None)
    monkeypatch.setenv("LOAD_SCALE", "0.25")
    monkeypatch.setenv("LOAD_SECONDS", "30")

    command.main(["sustained"])

    said = capsys.readouterr().out
    assert "0.25; 30 s of 300 s" in said
    assert "not covered: AWS itself" in said


def test_without_a_stack_or_towards_another_machine_nothing_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("QUOTEKIT_DATA", str(tmp_path))

    assert command.main(["burst"]) == 2
    assert "make run" in capsys.readouterr().err
    (tmp_path / "stack.json").write_text('{"api_url": "https://api.example.com"}')
    with pytest.raises(LoadError, match="this machine"):
        Stack.running(tmp_path)


def test_an_unknown_scenario_is_answered_with_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command.main([]) == 2
    assert set(re.findall(r"^  ([a-z-]+) ", capsys.readouterr().out, re.MULTILINE)) >= SPEC
