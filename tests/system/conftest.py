"""The stack itself, started once beside whatever runs on this machine."""

from collections.abc import Iterator

import httpx
import pytest

from tests.stacks import Stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The stack's own life comes last: it ends the stack."""
    items.sort(key=lambda item: item.path.name == "test_stack.py")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    folder.parent.chmod(0o755)
    started = Stack.beside(folder)
    try:
        started.start()
        yield started
    finally:
        if started.is_running:
            started.stop()


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx.Client]:
    with stack.http() as client:
        yield client
