from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from app.domain.entities import Floats, Pixels
from app.domain.errors import BundleError, TrainingDataError
from app.domain.scoring import L1Head
from app.domain.training import JobStoppedError, Role, Stage, TrainingOptions
from app.inference.align import AlignmentTemplate
from app.inference.bundle import Bundle, load_active
from app.inference.manifest import AlignmentSection, HeadSection
from app.training.adaptation.faces import MARGIN
from app.training.adaptation.runner import prepared
from app.training.data.dataset import Dataset
from app.training.data.photos import TrainingPhoto
from app.training.data.split import Split
from app.training.datasets import Side
from app.training.presets.checkpoint import Checkpoints
from app.training.presets.finetune import train_finetune
from app.training.presets.finetune_config import FinetuneConfig
from app.training.presets.finetune_network import parted
from app.training.presets.finetune_photos import chosen_rows
from app.training.presets.finetune_twin import pair_loss

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras, when it saves

SIZE = 16
DIMENSION = 8
CONFIG = FinetuneConfig(
    views=4,
    degraded=1,
    owners_in_batch=8,
    strangers_in_batch=12,
    epochs=4,
    steps=10,
    patience=4,
    rate=3e-3,
    warm_up=2,
    scale=8.0,
    share=1.0,
    validation_views=2,
)


class Witness:
    """A monitor that can stop a job after so many steps of training."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at, self.trained = stop_at, 0

    def stage(self, stage: Stage) -> None:
        """Nothing."""

    def progress(self, done: int, total: int, *, what: str | None = None, **_: Any) -> None:
        assert 0 <= done <= total
        if what == "training":
            self.trained += 1
            if done == self.stop_at:
                raise JobStoppedError

    def log(self, message: str) -> None:
        """Nothing."""


def network(border: str = "stage2_block2_out") -> Any:
    """A small embedding network with one end."""
    import keras

    keras.utils.set_random_seed(7)
    image = keras.Input((SIZE, SIZE, 3))
    early = keras.layers.Conv2D(6, 3, strides=2, activation="relu", name=border)(image)
    late = keras.layers.Dense(DIMENSION, name="late")(keras.layers.Flatten()(early))
    return keras.Model(image, late, name="small")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundle_of(network(), tmp_path_factory.mktemp("base"))


def bundle_of(model: Any, folder: Path) -> Bundle:
    """The shipped bundle with another embedding network."""
    shipped = load_active(Path("model"))
    model.save(folder / "embedding.keras")
    manifest = shipped.manifest
    embedding = manifest.embedding.model_copy(update={"dimension": DIMENSION + 1})
    points = tuple((x * SIZE / 150, y * SIZE / 150) for x, y in manifest.alignment.points)
    head = HeadSection(weights=(2.0,) * DIMENSION + (5.0,), bias=5.0)
    return replace(
        shipped,
        directory=folder,
        manifest=manifest.model_copy(
            update={
                "embedding": embedding,
                "alignment": AlignmentSection(size=SIZE, points=points),
                "score": manifest.score.model_copy(update={"head": head}),
            }
        ),
    )


def pictures(photos: int, strangers: int) -> list[Pixels]:
    """Wide faces: a smooth pattern for each person, with noise."""
    random, side = np.random.default_rng(11), SIZE + 2 * MARGIN
    made = []
    for count in [photos] + [1] * strangers:
        coarse = random.integers(90, 166, (8, 8, 3)).astype(np.float32)
        pattern = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
        made += [pattern + random.normal(0, 25, pattern.shape) for _ in range(count)]
    return [np.clip(picture, 0, 255).astype(np.uint8) for picture in made]


def embedded(model: Any, shown: list[Pixels]) -> Floats:
    """Unit-length embeddings of the middle of wide faces."""
    middle = [wide[MARGIN:-MARGIN, MARGIN:-MARGIN] for wide in shown]
    found = np.asarray(model(prepared(middle)))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def data(base: Bundle, photos: int = 20, strangers: int = 30) -> tuple[Dataset, Split]:
    """The owner's photos and one of each stranger; every fourth validates, every fifth tests."""
    import keras

    shown = pictures(photos, strangers)
    model = keras.models.load_model(base.directory / "embedding.keras", compile=False)
    embeddings = np.pad(embedded(model, shown), ((0, 0), (0, 1)), constant_values=0.02)
    people = np.array([0] * photos + list(range(1, strangers + 1)))

    def face(row: int, template: AlignmentTemplate, margin: int) -> Pixels:
        assert (template.size, margin) == (SIZE, MARGIN)
        assert sides[row] is not Side.TEST
        return shown[row]

    count = len(people)
    sides = tuple(
        Side.VALIDATION if row % 4 == 1 else Side.TEST if row % 5 == 0 else Side.TRAIN
        for row in range(count)
    )
    dataset = Dataset(
        photos=tuple(
            TrainingPhoto(Path(f"{row}.jpg"), Role.NEGATIVE if person else Role.ANCHOR, str(person))
            for row, person in enumerate(people)
        ),
        sha256=tuple(f"{row:064x}" for row in range(count)),
        people=people,
        groups=np.arange(count),
        embeddings=embeddings,
        faces=face,
        central=lambda row, size: shown[row],
    )
    return dataset, Split(sides, seed=1)


def run(base: Bundle, folder: Path, *, stop_at: int | None = None, **changes: Any) -> Any:
    dataset, split = data(base)
    config = replace(CONFIG, **changes)
    witness = Witness(stop_at)
    trained = train_finetune(
        dataset, split, base, TrainingOptions(), Checkpoints(folder), witness, 1, config=config
    )
    return trained, witness


def separation(model: Any, shown: list[Pixels], photos: int) -> float:
    """Mean cosine of the owner's photos less that of the owner with strangers."""
    found = embedded(model, shown)
    scores = found[:photos] @ found.T
    own = scores[:, :photos][~np.eye(photos, dtype=bool)]
    return float(own.mean() - scores[:, photos:].mean())


def test_the_owner_stands_out_more_and_strangers_stay(base: Bundle, tmp_path: Path) -> None:
    import keras

    trained, _ = run(base, tmp_path, steps=20, distillation_weight=0.5)
    before = keras.models.load_model(base.directory / "embedding.keras", compile=False)
    shown = pictures(20, 30)
    assert separation(trained.model, shown, 20) > separation(before, shown, 20) + 0.02
    moved = (embedded(trained.model, shown)[20:] * embedded(before, shown)[20:]).sum(axis=1)
    assert moved.min() > 0.9
    assert [record.epoch for record in trained.history] == [1, 2, 3, 4]
    assert trained.history[-1].learning_rate < CONFIG.rate / 10


def test_a_stronger_pull_keeps_strangers_nearer(base: Bundle, tmp_path: Path) -> None:
    import keras

    before = keras.models.load_model(base.directory / "embedding.keras", compile=False)
    shown = pictures(20, 30)[20:]
    moved = []
    for weight in (0.0, 40.0):
        trained, _ = run(
            base, tmp_path / str(weight), distillation_weight=weight, patience=9, steps=20
        )
        cosines = (embedded(trained.model, shown) * embedded(before, shown)).sum(axis=1)
        moved.append(1 - cosines.mean())
    assert moved[1] < moved[0] / 2


def test_training_that_is_stopped_goes_on_to_the_same_weights(base: Bundle, tmp_path: Path) -> None:
    whole, _ = run(base, tmp_path / "whole")
    with pytest.raises(JobStoppedError):
        run(base, tmp_path / "parts", stop_at=17)
    resumed, witness = run(base, tmp_path / "parts")
    assert witness.trained == 30  # the first of four epochs is not repeated
    for once, again in zip(whole.model.get_weights(), resumed.model.get_weights(), strict=True):
        assert once == pytest.approx(again, abs=1e-4)
    assert whole.head.bias == pytest.approx(resumed.head.bias, abs=1e-4)
    losses = [[r.loss for r in trained.history] for trained in (whole, resumed)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_a_finished_training_is_not_repeated(base: Bundle, tmp_path: Path) -> None:
    first, _ = run(base, tmp_path)
    again, witness = run(base, tmp_path)
    assert witness.trained == 0
    for once, twice in zip(first.model.get_weights(), again.model.get_weights(), strict=True):
        assert np.array_equal(once, twice)


def test_without_a_gain_on_validation_the_base_stays(base: Bundle, tmp_path: Path) -> None:
    import keras

    before = keras.models.load_model(base.directory / "embedding.keras", compile=False)
    trained, witness = run(base, tmp_path, rate=30.0, warm_up=0, patience=2)
    assert witness.trained == 20
    shown = pictures(20, 30)
    kept = (embedded(trained.model, shown) * embedded(before, shown)).sum(axis=1)
    assert kept.min() > 0.999


def test_the_head_serves_embeddings_with_their_commonness(base: Bundle, tmp_path: Path) -> None:
    trained, _ = run(base, tmp_path)
    assert isinstance(trained.head, L1Head)
    assert trained.head.weights.shape == (DIMENSION + 1,)
    assert trained.head.weights[-1] == 5.0
    assert trained.commonness == base.networks["commonness.tflite"]
    assert (trained.mean, trained.scale) == (
        base.manifest.embedding.mean,
        base.manifest.embedding.scale,
    )


def test_what_was_finetuned_can_be_finetuned_and_keeps_its_size(
    base: Bundle, tmp_path: Path
) -> None:
    once, _ = run(base, tmp_path / "once", epochs=1)
    (tmp_path / "next").mkdir()
    following = bundle_of(once.model, tmp_path / "next")
    twice, _ = run(following, tmp_path / "twice", epochs=1)
    names = [[layer.name for layer in trained.model.layers] for trained in (once, twice)]
    assert sorted(names[0]) == sorted(names[1])
    assert twice.model.count_params() == once.model.count_params()


def test_a_network_without_the_border_is_refused_by_name(tmp_path: Path) -> None:
    seedlike = bundle_of(network("some_layer"), tmp_path)
    with pytest.raises(BundleError, match=r"default-2 can't be finetuned.*stage2_block2_out"):
        run(seedlike, tmp_path / "checkpoints")


def test_an_owner_without_training_photos_is_refused(base: Bundle, tmp_path: Path) -> None:
    dataset, split = data(base)
    sides = tuple(Side.TEST if row < 20 else side for row, side in enumerate(split.sides))
    with pytest.raises(TrainingDataError) as caught:
        train_finetune(
            dataset,
            replace(split, sides=sides),
            base,
            TrainingOptions(),
            Checkpoints(tmp_path),
            Witness(),
            1,
            config=CONFIG,
        )
    assert caught.value.extra["problems"]


def test_ten_photos_of_the_owner_are_enough(base: Bundle, tmp_path: Path) -> None:
    dataset, split = data(base, photos=10, strangers=12)
    config = replace(CONFIG, epochs=1)
    trained = train_finetune(
        dataset,
        split,
        base,
        TrainingOptions(epochs=2),
        Checkpoints(tmp_path),
        Witness(),
        1,
        config=config,
    )
    assert len(trained.history) == 2


def test_half_of_many_strangers_are_those_most_alike() -> None:
    angles = np.linspace(0, np.pi, 101)
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    people = np.arange(101)
    config = replace(CONFIG, strangers=20)
    rows = chosen_rows(embeddings, people, np.arange(101), config, 3)
    assert len(rows) == 21
    assert rows[:11].tolist() == list(range(11))  # the owner, and the ten nearest
    assert rows[-1] > 50
    assert rows.tolist() == chosen_rows(embeddings, people, np.arange(101), config, 3).tolist()


def test_both_kinds_of_pairs_weigh_the_same() -> None:
    logits = np.array([[9.0, 0.0, 0.0], [0.0, 9.0, 0.0]], np.float32)
    same = np.array([[True, True, False], [True, True, False]])
    counted = np.array([[False, True, True], [True, False, True]])
    assert float(pair_loss(logits, same, counted)) == pytest.approx(np.log(2))
    logits[:, 2] = -50
    assert float(pair_loss(logits, same, counted)) == pytest.approx(np.log(2) / 2)


def test_half_of_the_way_lies_in_the_middle(base: Bundle, tmp_path: Path) -> None:
    ends = []
    for share in (0.0, 0.5, 1.0):
        trained, _ = run(base, tmp_path, share=share)
        ends.append((trained.model.get_layer("second_end").get_weights(), trained.head))
    for none, half, whole in zip(*(weights for weights, _head in ends), strict=True):
        assert half == pytest.approx((none + whole) / 2, abs=2e-3)  # stored in half precision
    bias = [head.bias for _weights, head in ends]
    assert bias[0] == 5.0
    assert bias[1] == pytest.approx((bias[0] + bias[2]) / 2)
    assert bias[2] != bias[0]


def test_a_network_of_two_ends_is_parted_and_joined_again() -> None:
    model = network()
    halves = parted(model, ("stage2_block2_out",), 0.3, version="x")
    batch = np.random.default_rng(0).normal(size=(3, SIZE, SIZE, 3)).astype(np.float32)
    joined = halves.joined(halves.second)
    again = parted(joined, ("stage2_block2_out",), 0.9, version="x")
    assert again.weight == 0.3
    assert np.asarray(again.single(batch)) == pytest.approx(np.asarray(model(batch)), abs=1e-5)
    assert np.asarray(again.joined(again.second)(batch)) == pytest.approx(
        np.asarray(joined(batch)), abs=1e-5
    )
