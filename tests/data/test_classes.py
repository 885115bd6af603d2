"""Classes by folders."""

from __future__ import annotations

from pathlib import Path

from diptych.data import open_data
from diptych.data.classes import class_names, labels_by_folder


def test_classes_are_the_first_folders_where_every_image_lies_in_one() -> None:
    assert class_names(["cat/1.png", "dog/old/2.png"]) == ("cat", "dog")
    assert class_names(["cat/1.png", "2.png"]) == ()
    assert class_names(["1.png", "cat/2.png"]) == ()
    assert class_names([]) == ()
    labels = labels_by_folder(["dog/1.png", "cat/2.png"], ("cat", "dog"))
    assert labels is not None
    assert labels.tolist() == [1, 0]
    assert labels_by_folder(["cow/1.png"], ("cat", "dog")) is None


def test_folders_of_classes_within_domains_are_labels_in_every_split(picture_folders) -> None:
    x, y = picture_folders(count=20, classes=4)
    data = open_data(x=x, y=y, size=32)
    assert data.classes == ("0", "1", "2", "3")
    assert data.test is not None
    for split in (data.train, data.test):
        for images, labels in zip(split.domains, split.labels, strict=True):
            assert labels is not None
            assert [int(images.name(i).split("/")[0]) for i in range(len(images))] == list(labels)


def test_a_target_without_class_folders_or_with_others_counts_as_unlabelled(
    picture_folders, tmp_path: Path
) -> None:
    x, _ = picture_folders(count=20, classes=4)
    _, flat = picture_folders(where="flat")
    assert open_data(x=x, y=flat, size=32).train.labels[1] is None
    _, more = picture_folders(where="more", count=20, classes=5)
    data = open_data(x=x, y=more, size=32)
    assert data.classes == ("0", "1", "2", "3")
    assert data.train.labels[1] is None
    assert "bright is treated as unlabelled: no other domain has its class '4'" in data.notes


def test_flat_folders_have_no_classes(picture_folders) -> None:
    x, y = picture_folders()
    data = open_data(x=x, y=y, size=32)
    assert data.classes == ()
    assert data.train.labels == ()
