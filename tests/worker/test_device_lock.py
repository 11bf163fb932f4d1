"""A lock belongs to a machine and a folder: a copy of it speaks for nobody."""

import json
import shutil

import pytest

from models.types.errors import DeviceError
from worker.care import device_lock
from worker.care.device_lock import DeviceLock
from worker.engine.devices.registry import choose_device


@pytest.fixture
def device():
    return choose_device("cpu", "float32")


def uid_of(device, folder):
    lock = DeviceLock(device, folder)
    lock.release()
    return lock.uid


def test_it_stays_the_same_from_holder_to_holder(tmp_path, device):
    assert uid_of(device, tmp_path) == uid_of(device, tmp_path)


def test_another_process_may_not_have_it_too(tmp_path, device):
    lock = DeviceLock(device, tmp_path)
    with pytest.raises(DeviceError, match="another worker has the device cpu"):
        DeviceLock(device, tmp_path)
    lock.release()


def test_a_copied_folder_has_another(tmp_path, device):
    first = uid_of(device, tmp_path / "here")
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    assert uid_of(device, tmp_path / "there") != first
    assert uid_of(device, tmp_path / "here") == first


def test_a_copy_that_took_the_place_of_the_folder_has_another(tmp_path, device):
    first = uid_of(device, tmp_path / "here")
    shutil.copytree(tmp_path / "here", tmp_path / "copy")
    shutil.rmtree(tmp_path / "here")
    (tmp_path / "other").mkdir()
    shutil.copytree(tmp_path / "copy", tmp_path / "here")
    assert uid_of(device, tmp_path / "here") != first


def test_an_image_of_the_machine_has_another(tmp_path, device, monkeypatch):
    first = uid_of(device, tmp_path)
    monkeypatch.setattr(device_lock, "machine_identity", lambda: "the same installation with another network card")
    assert uid_of(device, tmp_path) != first


@pytest.mark.parametrize(
    "content", ["", "{", "0" * 32, "[]", "{}", json.dumps({"uid": "x", "place": {}}), json.dumps({"uid": 5})]
)
def test_what_was_cut_short_or_means_nothing_is_written_anew(tmp_path, device, content):
    uid_of(device, tmp_path)
    (file,) = (tmp_path / "locks").glob("*.uid")
    file.write_text(content)
    again = uid_of(device, tmp_path)
    assert len(again) == 32
    assert uid_of(device, tmp_path) == again
