from pathlib import Path

import pytest

from app.training.presets import backend
from app.training.presets.backend import FULL, MIXED_ON_CPU, cpu_flags, precision, prepare

CPUINFO = """processor\t: 0
model name\t: a processor
flags\t\t: fpu sse2 avx512_bf16
power management:

processor\t: 1
flags\t\t: fpu sse2 avx512_bf16
"""


def test_the_flags_of_the_processor_are_read(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(CPUINFO)
    assert cpu_flags(file) == {"fpu", "sse2", "avx512_bf16"}


def test_a_processor_that_says_nothing_has_no_flags(tmp_path: Path) -> None:
    assert cpu_flags(tmp_path / "missing") == frozenset()
    (tmp_path / "empty").write_text("processor : 0\n")
    assert cpu_flags(tmp_path / "empty") == frozenset()


@pytest.mark.parametrize(
    ("flags", "wanted", "policy"),
    [
        ({"fpu", "avx512_bf16"}, True, MIXED_ON_CPU),
        ({"amx_bf16"}, True, MIXED_ON_CPU),
        ({"avx512_bf16"}, False, FULL),
        ({"fpu", "avx512f"}, True, FULL),
    ],
)
def test_half_precision_on_a_cpu_where_it_is_wanted_and_had(
    monkeypatch: pytest.MonkeyPatch, flags: set[str], wanted: bool, policy: str
) -> None:
    monkeypatch.setattr(backend, "cpu_flags", lambda: frozenset(flags))
    assert prepare(1, 1, mixed_on_cpu=wanted) == policy


def test_in_half_precision_weights_and_the_seeds_embedding_stay_single() -> None:
    from app.training.networks import seed_network

    with precision(MIXED_ON_CPU):
        network = seed_network()
    dtypes = {layer.name: layer.compute_dtype for layer in network.layers}
    assert (dtypes["conv1"], dtypes["embedding"]) == ("bfloat16", "float32")
    assert {weight.dtype for weight in network.weights} == {"float32"}
