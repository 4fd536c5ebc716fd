"""Work that comes in parts: done until there is less than a part left."""

from collections.abc import Callable


def rounds(part: Callable[[], int], *, most: int, times: int) -> int:
    """Do parts of `most` things until one is not full, but no more than so many `times`; how many
    things that were."""
    done = 0
    for _ in range(times):
        went = part()
        done += went
        if went < most:
            break
    return done
