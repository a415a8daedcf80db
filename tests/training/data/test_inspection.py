import random
from pathlib import Path

import pytest

from app.domain.training import Role
from app.inference.bundle import Bundle
from app.training.data.crops import CropCache
from app.training.data.dataset import Dataset
from app.training.data.examine import Examined, examine
from app.training.data.inspection import DataReport, inspect
from app.training.data.photos import OWNER, read_photos
from tests.pictures import encode
from tests.training.data.folders import Ear, portrait, put, shaded
from tests.training.data.seen import codes, owner, seen, strangers

CROPS = CropCache(Path("nowhere"))


@pytest.fixture
def look(bundle: Bundle) -> "Look":
    return Look(bundle)


class Look:
    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    def __call__(
        self, photos: list[Examined], *, owner_needed: bool = True
    ) -> tuple[DataReport, Dataset]:
        return inspect(photos, self.bundle, CROPS, owner_needed=owner_needed)


def test_good_photos_have_no_problems(look: Look) -> None:
    report, dataset = look([*owner(), *strangers()])
    assert report.problems == []
    assert codes(report.warnings) == {"few_owner_photos", "few_people"}
    assert (report.owner_groups, report.people, report.people_with_two) == (20, 24, 24)
    assert len(dataset) == 68
    assert len(dataset.owner) == 20
    assert sorted(set(dataset.people.tolist())) == list(range(25))
    assert len(set(dataset.groups.tolist())) == 68
    assert dataset.embeddings.shape == (68, 129)


def test_the_order_of_listing_does_not_matter(look: Look) -> None:
    photos = [*owner(), *strangers(), seen("anchor/copy.jpg", content="anchor/aa.jpg")]
    photos += [seen("anchor/near.jpg", near=("anchor/ab.jpg", 30)), seen("negative/x.jpg", "x")]
    report, dataset = look(photos)
    for seed in range(3):
        random.Random(seed).shuffle(photos)
        again, other = look(photos)
        assert again == report
        assert other.sha256 == dataset.sha256
        assert other.people.tolist() == dataset.people.tolist()
        assert other.groups.tolist() == dataset.groups.tolist()


def test_files_are_counted_by_role_with_the_reasons_against_them(look: Look) -> None:
    bad = [
        seen("anchor/wall.jpg", reasons=("no_face",)),
        seen("anchor/blur.jpg", reasons=("TOO_BLURRY", "TOO_DARK")),
        seen("negative/n1/text.jpg", reasons=("unsupported_media_type",)),
        seen("anchor/twin.jpg", content="anchor/aa.jpg"),
        seen("anchor/near.jpg", near=("anchor/ab.jpg", 30)),
    ]
    report, dataset = look([*owner(), *strangers(), *bad])
    anchor = report.roles[Role.ANCHOR]
    assert (anchor.images, anchor.faces_found, anchor.usable) == (14, 13, 12)
    assert anchor.rejected == {"TOO_BLURRY": 1, "TOO_DARK": 1, "no_face": 1}
    assert (anchor.duplicates, anchor.near_duplicates, anchor.groups) == (1, 1, 10)
    assert report.roles[Role.POSITIVE].rejected == {}
    assert {f.file for f in report.rejected_files} == {b.photo.name for b in bad[:3]}
    assert len(dataset) == 69
    assert len(dataset.owner) == 21


@pytest.mark.parametrize(
    ("role", "code"),
    [("anchor", "anchor_empty"), ("positive", "positive_empty"), ("negative", "negative_empty")],
)
def test_an_empty_folder_is_a_problem(look: Look, role: str, code: str) -> None:
    photos = [p for p in (*owner(), *strangers()) if p.photo.role.value != role]
    assert code in codes(look(photos)[0].problems)


def test_nothing_at_all_is_told_calmly(look: Look) -> None:
    report, dataset = look([])
    assert {"anchor_empty", "positive_empty", "negative_empty"} <= codes(report.problems)
    assert len(dataset) == 0
    assert not report.usable


def test_three_images_are_too_few(look: Look) -> None:
    report, _ = look([*owner(2, 1), *strangers()])
    assert codes(report.problems) == {"too_few_owner_photos"}
    assert "2 in anchor/, 1 in positive/" in report.problems[0].message


@pytest.mark.parametrize("copies", ["the same files", "re-encoded"])
def test_ten_identical_frames_count_once(look: Look, copies: str) -> None:
    frames = [
        seen(f"anchor/f{i}.jpg", content="x")
        if copies == "the same files"
        else seen(f"anchor/f{i}.jpg", near=("anchor/f0.jpg", i))
        for i in range(10)
    ]
    report, _ = look([*frames, *owner(0, 10), *strangers()])
    assert report.roles[Role.ANCHOR].groups == 1
    assert codes(report.problems) == {"too_few_owner_photos"}
    if copies == "re-encoded":
        assert "one_burst" in codes(report.warnings)


@pytest.mark.parametrize("copies", ["the same files", "re-encoded"])
def test_positives_that_are_copies_of_anchors_are_a_problem(look: Look, copies: str) -> None:
    names = [f"anchor/a{chr(97 + i)}.jpg" for i in range(10)]
    copied = [
        seen(f"positive/c{i}.jpg", content=name)
        if copies == "the same files"
        else seen(f"positive/c{i}.jpg", near=(name, 20))
        for i, name in enumerate(names)
    ]
    report, _ = look([*owner(20, 4), *copied, *strangers()])
    assert codes(report.problems) == {"positives_copied"}
    assert "10 of 14" in report.problems[0].message
    assert len(report.in_two_roles) == 10
    few, _ = look([*owner(20, 10), *copied[:3], *strangers()])
    assert few.problems == []
    assert "in_two_roles" in codes(few.warnings)


@pytest.mark.parametrize("copies", ["the same file", "re-encoded"])
def test_a_photo_of_the_owner_among_the_negatives_is_a_problem(look: Look, copies: str) -> None:
    leak = (
        seen("negative/z.jpg", content="anchor/aa.jpg")
        if copies == "the same file"
        else seen("negative/z.jpg", near=("anchor/aa.jpg", 40))
    )
    report, dataset = look([*owner(), *strangers(), leak])
    assert "owner_photos_in_negative" in codes(report.problems)
    assert "negative/z.jpg" in report.problems[0].message
    assert leak.photo not in dataset.photos
    assert report.people == 24


def test_the_owner_among_the_negatives_is_a_problem(look: Look) -> None:
    report, _ = look([*owner(), *strangers(), seen("negative/unknown/1.jpg", "owner")])
    assert codes(report.problems) == {"owner_among_negatives"}
    (found,) = report.owner_lookalikes
    assert (found.file, found.person, found.certain) == ("negative/unknown/1.jpg", "unknown", True)
    assert "negative/unknown/1.jpg" in report.problems[0].message


def test_someone_else_among_the_anchors_is_named(look: Look) -> None:
    others = [seen("anchor/other.jpg", "other"), seen("positive/other.jpg", "other")]
    report, _ = look([*owner(), *others, *strangers()])
    assert report.problems == []
    assert "outliers" in codes(report.warnings)
    assert {o.file for o in report.outliers} == {"anchor/other.jpg", "positive/other.jpg"}


def test_two_people_in_anchor_are_a_problem(look: Look) -> None:
    others = [seen(f"anchor/o{chr(97 + i)}.jpg", "other") for i in range(8)]
    report, _ = look([*owner(), *others, *strangers()])
    assert codes(report.problems) == {"several_owners"}


def test_too_few_people_are_a_problem(look: Look) -> None:
    report, _ = look([*owner(), *strangers(19)])
    assert codes(report.problems) == {"too_few_people"}
    flat = [seen(f"negative/{chr(97 + i)}.jpg", str(i)) for i in range(20)]
    assert look([*owner(), *flat])[0].problems == []


def test_people_who_share_a_photo_are_one_person(look: Look) -> None:
    shared = [
        seen("negative/n0/shared.jpg", "n0", content="s"),
        seen("negative/n1/shared.jpg", "n0", content="s"),
        seen("negative/n2/near.jpg", "n1", near=("negative/n1/a.jpg", 30)),
    ]
    report, dataset = look([*owner(), *strangers(), *shared])
    assert report.joined_people == [["n0", "n1", "n2"]]
    assert "people_joined" in codes(report.warnings)
    assert report.people == 22
    of = {photo.name: person for photo, person in zip(dataset.photos, dataset.people, strict=True)}
    assert of["negative/n0/a.jpg"] == of["negative/n1/a.jpg"] == of["negative/n2/b.jpg"] != OWNER


def test_without_an_owner_people_with_two_photos_are_what_it_takes(look: Look) -> None:
    assert look(strangers(), owner_needed=False)[0].problems == []
    single = look(strangers(24, 1), owner_needed=False)[0]
    assert codes(single.problems) == {"too_few_photos_of_people"}
    assert codes(look(strangers())[0].problems) == {
        "anchor_empty",
        "positive_empty",
        "too_few_owner_photos",
    }


def test_many_rejected_files_are_a_warning(look: Look) -> None:
    bad = [seen(f"anchor/x{i}.jpg", reasons=("no_face",)) for i in range(4)]
    report, _ = look([*owner(), *strangers(), *bad])
    assert "many_rejected" in codes(report.warnings)
    assert report.problems == []


def test_photos_that_are_left_out_are_a_warning_with_their_number(look: Look) -> None:
    photos = [*owner(), *strangers()]
    assert "photos_left_out" not in codes(look(photos)[0].warnings)
    report, _ = inspect(photos, look.bundle, CROPS, left_out=7)
    (warning,) = (w for w in report.warnings if w.code == "photos_left_out")
    assert warning.message.startswith("7 photos ")


def test_a_model_that_can_not_judge_says_so(look: Look, bundle: Bundle) -> None:
    from dataclasses import replace

    blind = replace(bundle, calibration=replace(bundle.calibration, subject="anna", others={}))
    photos = [*owner(), *strangers(), seen("negative/unknown/1.jpg", "owner")]
    report, _ = inspect(photos, blind, CROPS)
    assert report.problems == []
    assert "likeness_unknown" in codes(report.warnings)
    about, _ = inspect(photos, blind, CROPS, subject="anna")
    assert codes(about.problems) == {"owner_among_negatives"}


def test_every_message_tells_what_to_do_and_long_lists_are_cut(look: Look) -> None:
    leaks = [seen(f"negative/l{i}.jpg", "owner") for i in range(300)]
    report, _ = look([*owner(), *strangers(), *leaks])
    assert len(report.owner_lookalikes) == 100
    (problem,) = report.problems
    assert "300 (" in problem.message
    assert len(problem.message) < 400


def test_real_photos_go_all_the_way(tmp_path: Path, bundle: Bundle) -> None:
    data = tmp_path / "data"
    for i in (1, 3, 4):
        picture = shaded(portrait("astronaut"), i)
        put(data, f"anchor/{i}.jpg", picture)
        put(data, f"anchor/{i}-again.png", encode(picture, ".png"))
    put(data, "negative/pilot.jpg", portrait("astronaut"))
    put(data, "negative/hopper/1.jpg", portrait("hopper"))
    put(data, "negative/hopper/text.jpg", b"no picture")
    crops = CropCache(tmp_path / "crops")
    examined = examine(read_photos(data), bundle, crops, threads=2, monitor=Ear())
    report, dataset = inspect(examined, bundle, crops)
    assert report.roles[Role.ANCHOR].usable == 6
    assert report.roles[Role.ANCHOR].groups == 3
    assert [a.file for a in report.owner_lookalikes] == ["negative/pilot.jpg"]
    template = bundle.manifest.alignment.template()
    face = dataset.faces(0, template, 5)
    assert face.shape == (template.size + 10, template.size + 10, 3)
    assert dataset.central(0, 100).shape == (100, 100, 3)
    assert DataReport.model_validate_json(report.model_dump_json()) == report
