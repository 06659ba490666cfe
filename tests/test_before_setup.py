from tools.before_setup import missing


def test_a_machine_with_room_and_a_new_python_is_enough():
    assert missing((3, 11), 11.0, 11.0, one_disk=True) is None
    assert missing((3, 14), 8.0, 3.0, one_disk=False) is None


def test_an_old_python_is_told_what_to_do():
    assert "make PYTHON=python3.11" in missing((3, 10), 99.0, 99.0, one_disk=True)


def test_a_full_disk_is_told_before_anything_is_fetched():
    assert missing((3, 11), 10.9, 10.9, one_disk=True).startswith("The set-up needs 11 GB of the disk here and 10.9")
    assert missing((3, 11), 7.9, 99.0, one_disk=False).startswith("The set-up needs 8 GB of the disk here and 7.9")


def test_a_full_temporary_folder_is_told_how_to_choose_another():
    assert "set TMPDIR" in missing((3, 11), 99.0, 2.9, one_disk=False)
