"""Deployed zip files, unpacked once: one folder for each content, one for each order of layers."""

import base64
import hashlib
import io
import os
import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path


class PackageError(Exception):
    """The code that was deployed can't be had any more."""


class PackageStore:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def package(self, sha256: str, fetch: Callable[[], bytes]) -> Path:
        """The folder of the zip file with this CodeSha256 (base64, as Lambda gives it)."""
        folder = self._folder / base64.b64decode(sha256).hex()[:32]
        if not folder.exists():
            content = fetch()
            if base64.b64encode(hashlib.sha256(content).digest()).decode() != sha256:
                raise PackageError(f"the package with sha256 {sha256} is gone")
            self._make(folder, lambda target: _unpack(content, target))
        return folder

    def merged(self, layers: Sequence[Path]) -> Path | None:
        """What Lambda shows as /opt: the layers over each other, the last on top."""
        if not layers:
            return None
        names = "".join(layer.name for layer in layers)
        folder = self._folder / f"opt-{hashlib.sha256(names.encode()).hexdigest()[:28]}"
        if not folder.exists():
            self._make(folder, lambda target: _lay(layers, target))
        return folder

    def forget_all_but(self, used: set[Path]) -> None:
        if self._folder.exists():
            for folder in set(self._folder.iterdir()) - used:
                shutil.rmtree(folder, ignore_errors=True)

    def _make(self, folder: Path, fill: Callable[[Path], object]) -> None:
        """Fill beside and rename, so that a folder with a name is whole."""
        draft = folder.with_name(f"{folder.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        fill(draft)
        draft.rename(folder)


def _unpack(content: bytes, target: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for entry in archive.infolist():
            path = archive.extract(entry, target)
            mode = entry.external_attr >> 16 & 0o777
            if mode and not entry.is_dir():  # extract() forgets that a program is one
                Path(path).chmod(mode)


def _lay(layers: Sequence[Path], target: Path) -> None:
    for layer in layers:
        shutil.copytree(layer, target, dirs_exist_ok=True, copy_function=_link)


def _link(source: str, target: str) -> None:
    Path(target).unlink(missing_ok=True)
    os.link(source, target)
