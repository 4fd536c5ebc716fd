"""What the Makefiles of the layers put into them, for the processor that was asked for."""

import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.house.conftest import ROOT

MACHINES: Final = {"x86_64": 0x3E, "arm64": 0xB7}  # e_machine of an ELF file
UNCHECKED_HASH: Final = 0b01
LARGEST: Final = 100_000_000  # bytes; with typst's 81 MB still well below Lambda's 250 MB


def build(folder: str, target: str, architecture: str, artifacts: Path) -> Path:
    """Run a layer's Makefile as sam does: by its real path, from somewhere else."""
    environment = os.environ | {
        "ARTIFACTS_DIR": str(artifacts),
        "QUOTEKIT_ARCHITECTURE": architecture,
        "UV_PYTHON_DOWNLOADS": "never",
    }
    scratch = artifacts.with_name("scratch")
    subprocess.run(["cp", "-R", ROOT / folder, scratch], check=True)
    artifacts.mkdir()
    makefile = str(ROOT / folder / "Makefile")
    command = ["make", "--silent", "--makefile", makefile, f"build-{target}"]
    subprocess.run(command, cwd=scratch, env=environment, check=True, capture_output=True)
    return artifacts


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def sources_without_bytecode(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.rglob("*.py")
        if not (path.parent / "__pycache__" / f"{path.stem}.cpython-313.pyc").exists()
    ]


def flags(folder: Path) -> set[int]:
    """How Python decides whether each .pyc is fresh (PEP 552)."""
    return {path.read_bytes()[4] for path in folder.rglob("*.pyc")}


@pytest.mark.slow
@pytest.mark.parametrize("architecture", MACHINES)
def test_the_dependency_layer_is_compiled_for_the_processor_asked_for(architecture, tmp_path):
    layer = build("layers/dependencies", "DependenciesLayer", architecture, tmp_path / "layer")

    libraries = list(layer.rglob("*.so*"))
    machines = {path.read_bytes()[18] for path in libraries}

    assert len(libraries) > 5
    assert machines == {MACHINES[architecture]}
    assert sources_without_bytecode(layer) == []
    assert flags(layer) == {UNCHECKED_HASH}
    assert size(layer) < LARGEST
    assert not list(layer.rglob("tests"))


def test_the_shared_layer_is_the_package_and_its_bytecode(tmp_path):
    layer = build("layers/shared", "SharedLayer", "arm64", tmp_path / "layer")

    wanted = {
        str(path.relative_to(ROOT / "layers/shared"))
        for path in (ROOT / "layers/shared/quotekit").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    found = {
        str(path.relative_to(layer / "python"))
        for path in layer.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }

    assert found == wanted
    assert sources_without_bytecode(layer) == []
    assert flags(layer) == {UNCHECKED_HASH}


def test_bytecode_names_the_place_on_lambda_and_not_this_machine(tmp_path):
    layer = build("layers/shared", "SharedLayer", "arm64", tmp_path / "layer")

    compiled = b"".join(path.read_bytes() for path in layer.rglob("*.pyc"))

    assert b"/opt/python/quotekit/" in compiled
    assert str(tmp_path).encode() not in compiled


def test_the_migrations_layer_holds_every_migration(tmp_path):
    layer = build("migrations", "MigrationsLayer", "arm64", tmp_path / "layer")

    found = {path.name for path in (layer / "migrations").iterdir()}

    assert found == {path.name for path in (ROOT / "migrations").glob("*.sql")}


@pytest.mark.slow
@pytest.mark.parametrize("architecture", MACHINES)
def test_the_migrator_carries_an_executable_dbmate_of_its_processor(architecture, tmp_path):
    folder = "functions/database_migrator"

    function = build(folder, "DatabaseMigratorFunction", architecture, tmp_path / "function")

    dbmate = function / "bin" / "dbmate"
    assert os.access(dbmate, os.X_OK)
    assert dbmate.read_bytes()[18] == MACHINES[architecture]
    assert (function / "app.py").read_bytes() == (ROOT / folder / "app.py").read_bytes()


@pytest.mark.slow
def test_stripes_library_is_compiled_beside_its_door(tmp_path):
    target = "SubscriptionStatusFunction"
    function = build("functions/subscription_status", target, "arm64", tmp_path / "function")

    assert (function / "app.py").exists()
    assert (function / "stripe").is_dir()
    assert sources_without_bytecode(function) == []
    assert flags(function) == {UNCHECKED_HASH}
    assert size(function) < LARGEST
