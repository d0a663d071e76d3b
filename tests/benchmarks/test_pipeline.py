"""Every row of the pipeline's benchmark can be made, small."""

import numpy as np

from benchmarks import pipeline


def test_every_candidate_makes_its_batches(tmp_path, monkeypatch):
    for name, value in {"BATCH": 2, "HEIGHT": 48, "WIDTH": 32, "TINY": (12, 8)}.items():
        monkeypatch.setattr(pipeline, name, value)
    monkeypatch.setattr(pipeline.importlib.util, "find_spec", lambda name: None)  # peers need PyTorch
    candidates = pipeline._candidates(str(tmp_path), files_each=4, number=2)
    assert set(pipeline.PEERS) <= set(candidates)
    for name, (make, images) in candidates.items():
        batches = list(make())
        assert len(batches) == 2, name
        shown = batches[0].values() if isinstance(batches[0], dict) else [batches[0]]
        pictures = [value for value in shown if np.ndim(value) == 4 or isinstance(value, list)]
        assert sum(map(len, pictures)) == images, name
