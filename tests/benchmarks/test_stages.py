import json
import sys

import pytest

from app.services.verification import STAGES
from benchmarks import stages


def test_every_stage_of_both_photos_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["stages", "--requests", "2", "--references", "1", "--json"]
    monkeypatch.setattr(sys, "argv", arguments)
    stages.main()
    photos = json.loads(capsys.readouterr().out)["photos"]
    assert list(photos) == ["640x480", "250x250"]
    for measured in photos.values():
        assert tuple(measured) == STAGES
        for times in measured.values():
            assert 0 < times["wall_p50_ms"] <= times["wall_p95_ms"]
            assert 0 < times["cpu_p50_ms"] <= times["cpu_p95_ms"]
