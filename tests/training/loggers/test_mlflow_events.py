"""What MLflow itself says of a run that logged to it, in a database of its own, offline."""

from __future__ import annotations

from pathlib import Path

import pytest

import diptych
from diptych.errors import InputError

pytestmark = [
    pytest.mark.slow,
    # Of MLflow's own dependencies, not of what we call.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::FutureWarning:mlflow"),
]
SMALL = {"width": 4, "size": 32, "blocks": 1, "device": "cpu", "workers": 0, "precision": "fp32"}


def test_a_stopped_and_resumed_run_is_one_run_with_every_step_once(
    picture_folders, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "diptych-tests")
    monkeypatch.chdir(tmp_path)  # where MLflow puts artifacts
    x, y = picture_folders()

    def stop(step: int, losses: dict[str, float]) -> None:
        if step == 3:
            raise InputError("stop here")

    with pytest.raises(InputError, match="stop here"):
        diptych.train(
            "cyclegan", x=x, y=y, out="run", steps=5, preview_every=5, logger="mlflow",
            on_log=stop, **SMALL,
        )  # fmt: skip
    run = diptych.resume("run")

    from mlflow import MlflowClient

    client = MlflowClient()
    experiment = client.get_experiment_by_name("diptych-tests")
    assert experiment is not None
    (known,) = client.search_runs([experiment.experiment_id])
    assert known.info.run_id == (run.folder / "mlflow.id").read_text().strip()
    assert known.info.status == "FINISHED"
    assert known.data.params["cyclegan.width"] == "4"
    assert known.data.params["run.steps"] == "5"
    history = client.get_metric_history(known.info.run_id, "losses/cycle")
    assert [metric.step for metric in history] == [1, 2, 3, 4, 5]
    assert all(metric.value > 0 for metric in history)
    pictures = client.list_artifacts(known.info.run_id, "previews")
    assert [Path(a.path).name for a in pictures] == ["00000000.png", "00000005.png"]
