"""How long what the emulator said is believed."""

import asyncio

import pytest

from local.deployment import _Cache
from local.runtime import FunctionNotFoundError


class Emulator:
    def __init__(self):
        self.weight, self.reads, self.gone = 0.0, 0, False

    def read(self, function, _):
        self.reads += 1
        if self.gone:
            raise FunctionNotFoundError(function)
        return self.weight


@pytest.fixture
def clock():
    return [100.0]


def play(emulator, clock, *steps):
    async def whole():
        cache = _Cache(emulator.read, lambda: clock[0])
        seen = []
        for step in steps:
            step()
            seen.append(await cache.get("f", "live"))
            await asyncio.sleep(0.05)  # a refresh behind the call ends
        return seen

    return asyncio.run(whole())


def test_within_a_second_nothing_is_read_again(clock):
    emulator = Emulator()

    play(emulator, clock, *[lambda: clock.__setitem__(0, clock[0] + 0.1)] * 9)

    assert emulator.reads == 1


def test_after_a_second_the_call_goes_ahead_and_the_next_sees_the_change(clock):
    emulator = Emulator()

    def shift():
        emulator.weight = 0.5
        clock[0] += 2

    seen = play(emulator, clock, lambda: None, shift, lambda: None)

    assert seen == [0.0, 0.0, 0.5]


def test_after_a_pause_the_change_is_read_before_the_call(clock):
    emulator = Emulator()

    def shift_long_after():
        emulator.weight = 0.5
        clock[0] += 60

    assert play(emulator, clock, lambda: None, shift_long_after) == [0.0, 0.5]


def test_a_function_deleted_meanwhile_is_no_longer_found(clock):
    emulator = Emulator()

    def delete():
        emulator.gone = True
        clock[0] += 2

    with pytest.raises(FunctionNotFoundError):
        play(emulator, clock, lambda: None, delete, lambda: None)
