"""What MLflow itself says of a run that logged to it, in a database of its own, offline."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import diptych
from diptych.errors import InputError
from diptych.training.loggers import LoggedRun, open_logger

pytestmark = [pytest.mark.slow]
SMALL = {"width": 4, "size": 32, "blocks": 1, "device": "cpu", "workers": 0, "precision": "fp32"}


# MLflow itself uses the strategy with any database; nothing of ours can change that.
@pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy is deprecated:sqlalchemy.exc.SADeprecationWarning"
)
def test_a_stopped_and_resumed_run_is_one_run_with_every_step_once(
    picture_folders, tmp_path: Path, monkeypatch
) -> None:
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
    from mlflow import MlflowClient
    from mlflow.telemetry import get_telemetry_client

    client, states = MlflowClient(), list[str]()

    def look(step: int, losses: dict[str, float]) -> None:
        states.append(client.get_run(Path("run/mlflow.id").read_text().strip()).info.status)

    run = diptych.resume("run", on_log=look)
    assert states == ["RUNNING", "RUNNING"]
    assert get_telemetry_client() is None  # it reports to nobody
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


def test_a_store_that_does_not_work_is_named_in_one_line(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://store")
    with pytest.raises(InputError, match=r"mlflow.* nonsense://store \(.*: see MLFLOW_TRACK") as e:
        open_logger("mlflow", LoggedRun(tmp_path, None, {}))
    assert "\n" not in str(e.value)
    assert not list(tmp_path.iterdir())


# As above.
@pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy is deprecated:sqlalchemy.exc.SADeprecationWarning"
)
def test_a_step_done_again_is_not_logged_again(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    monkeypatch.chdir(tmp_path)
    speed = "speed/images_per_second"
    first = open_logger("mlflow", LoggedRun(tmp_path, None, {"run.data": "x" * 9000}))
    assert first is not None
    for step in (1, 2, 3):
        first.log(step, {"losses/cycle": 1.0, "losses/D": float("nan"), speed: 5.0})
    # Killed here, with a checkpoint of step 2.
    second = open_logger("mlflow", LoggedRun(tmp_path, 2, {}))
    assert second is not None
    for step in (3, 4):
        second.log(step, {"losses/cycle": 2.0, "losses/D": float("nan"), speed: 5.0})
    second.close()

    from mlflow import MlflowClient

    client, name = MlflowClient(), (tmp_path / "mlflow.id").read_text().strip()
    history = client.get_metric_history(name, "losses/cycle")
    assert [(m.step, m.value) for m in history] == [(1, 1.0), (2, 1.0), (3, 1.0), (4, 2.0)]
    assert all(math.isnan(m.value) for m in client.get_metric_history(name, "losses/D"))
    assert len(client.get_run(name).data.params["run.data"]) == 500
