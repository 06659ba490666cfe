from tools.before_setup import DOWNLOADED, INSTALLED, missing

BOTH = INSTALLED + DOWNLOADED


def test_a_machine_with_room_and_a_new_python_is_enough():
    assert missing((3, 11), BOTH, BOTH, one_disk=True) is None
    assert missing((3, 14), INSTALLED, DOWNLOADED, one_disk=False) is None


def test_an_old_python_is_told_what_to_do():
    assert "make PYTHON=python3.11" in missing((3, 10), 99.0, 99.0, one_disk=True)


def test_a_full_disk_is_told_before_anything_is_fetched():
    told = missing((3, 11), BOTH - 0.1, BOTH - 0.1, one_disk=True)
    assert told.startswith(f"The set-up needs {BOTH} GB of the disk here and {BOTH - 0.1:.1f} are free")
    assert missing((3, 11), INSTALLED - 0.1, 99.0, one_disk=False).startswith(f"The set-up needs {INSTALLED} GB of")


def test_a_full_temporary_folder_is_told_how_to_choose_another():
    assert "set TMPDIR" in missing((3, 11), 99.0, DOWNLOADED - 0.1, one_disk=False)
