"""Deployed packages: unpacked once, whole, with their programs and their layers' order."""

import base64
import hashlib
import io
import zipfile

import pytest

from local.packages import PackageError, PackageStore


def pack(files, *, program=None):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o755 if name == program else 0o644) << 16
            archive.writestr(entry, text)
    content = buffer.getvalue()
    return base64.b64encode(hashlib.sha256(content).digest()).decode(), content


def put(store, files):
    sha256, content = pack(files)
    return store.package(sha256, lambda: content)


def test_a_package_is_fetched_once_and_its_programs_can_run(tmp_path):
    store = PackageStore(tmp_path)
    sha256, content = pack({"app.py": "x = 1", "bin/tool": "#!"}, program="bin/tool")
    fetched = []

    for _ in range(2):
        folder = store.package(sha256, lambda: fetched.append(1) or content)

    assert len(fetched) == 1
    assert (folder / "app.py").read_text() == "x = 1"
    assert (folder / "bin" / "tool").stat().st_mode & 0o111


def test_another_content_than_the_one_deployed_is_refused(tmp_path):
    store = PackageStore(tmp_path)
    sha256, _ = pack({"app.py": "old"})
    _, content = pack({"app.py": "new"})

    with pytest.raises(PackageError):
        store.package(sha256, lambda: content)

    assert list(tmp_path.iterdir()) == []


def test_the_last_layer_lies_on_top(tmp_path):
    store = PackageStore(tmp_path)
    contents = {"python/a.py": "1", "python/b.py": "1"}, {"python/b.py": "2"}
    layers = [put(store, files) for files in contents]

    merged = store.merged(layers)

    assert merged is not None
    assert (merged / "python" / "a.py").read_text() == "1"
    assert (merged / "python" / "b.py").read_text() == "2"
    assert (layers[0] / "python" / "b.py").read_text() == "1"
    assert store.merged([]) is None


def test_code_nobody_uses_any_more_is_removed(tmp_path):
    store = PackageStore(tmp_path)
    folders = [put(store, {"app.py": text}) for text in ("1", "2")]

    store.forget_all_but({folders[1]})

    assert list(tmp_path.iterdir()) == [folders[1]]
