"""`python -m load NAME`: one scenario against the running stack, judged by its gates."""

import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from load.gates import Facts, Verdict
from load.running import LoadError, Stack, run
from load.scenarios import SCENARIOS, Scenario
from local.settings import ROOT

FAILED = 1
UNUSABLE = 2


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in SCENARIOS:
        print("which scenario? make load SCENARIO=NAME")
        for scenario in SCENARIOS.values():
            print(f"  {scenario.name:<22} {scenario.said}")
        return UNUSABLE
    scenario = SCENARIOS[arguments[0]]
    scale = float(os.environ.get("LOAD_SCALE", "0.1"))
    longest = float(os.environ.get("LOAD_SECONDS", "40"))
    try:
        stack = Stack.running(Path(os.environ.get("QUOTEKIT_DATA", ROOT / ".local")))
        print(announced(scenario, scale, longest), flush=True)
        facts = run(stack, scenario, scale=scale, longest=longest)
    except LoadError as error:
        print(f"load: {error}", file=sys.stderr)
        return UNUSABLE
    verdicts = [gate.judge(facts) for gate in scenario.gates]
    print("\n".join(told(scenario, facts, verdicts)))
    return 0 if all(verdict.passed for verdict in verdicts) else FAILED


def announced(scenario: Scenario, scale: float, longest: float) -> str:
    """What runs, and how it differs from what the specification says."""
    runs = sum(phase.seconds for phase in scenario.scaled(scale, longest))
    lines = [f"{scenario.name}: {scenario.said}"]
    if scale != 1 or runs < scenario.seconds:
        lines += [
            f"scaled: users, rates and requests × {scale:g}; {runs:g} s of {scenario.seconds:g} s",
            "(LOAD_SCALE=1 LOAD_SECONDS=1800 is the whole of it)",
        ]
    return "\n".join(lines)


def told(scenario: Scenario, facts: Facts, verdicts: Sequence[Verdict]) -> list[str]:
    took = max(sample.at + sample.seconds for sample in facts.samples)
    statuses = Counter(sample.status for sample in facts.samples)
    answers = ", ".join(
        f"{status or 'none'} × {count}" for status, count in sorted(statuses.items())
    )
    lines = [
        f"{len(facts.samples)} requests in {took:.0f} s on {os.cpu_count()} cores",
        f"answers: {answers}",
    ]
    lines += [str(verdict) for verdict in verdicts]
    lines += [f"  note  {note(facts)}" for note in scenario.notes]
    lines.append("not covered: AWS itself; its network, scaling and throttling are not here")
    lines.append("PASS" if all(verdict.passed for verdict in verdicts) else "FAIL")
    return lines


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
