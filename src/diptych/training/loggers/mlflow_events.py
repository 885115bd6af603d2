"""MLflow: one of its runs for each of ours, which a resumed run goes on with.

Where it writes and to which experiment are its own settings, MLFLOW_TRACKING_URI and
MLFLOW_EXPERIMENT_NAME; by default sqlite:///mlflow.db and diptych. Its telemetry is off, unless
MLFLOW_DISABLE_TELEMETRY says otherwise.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from PIL import Image

from diptych.errors import InputError, option
from diptych.files import atomic_write_text
from diptych.training.loggers import LoggedRun

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is imported

from mlflow import MlflowClient, get_tracking_uri
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException

ID_FILE = "mlflow.id"
_LONGEST_VALUE = 500
"""Characters of a parameter that every server takes."""


def open_events(run: LoggedRun) -> MLflow:
    """A run of MLflow, or the one that was begun with this run's folder.

    Raises:
        InputError: the store or server is not there, or refuses.
    """
    try:
        return MLflow(run)
    except MlflowException as error:
        raise InputError(
            f"{option('logger', 'mlflow')} does not work with {get_tracking_uri()}"
            f" ({' '.join(str(error).split())}): see MLFLOW_TRACKING_URI"
        ) from error


class MLflow:
    """Steps that MLflow has seen already are left out: an exact resume repeats them to the bit."""

    def __init__(self, run: LoggedRun) -> None:
        self._client = MlflowClient(get_tracking_uri())
        id_file = run.folder / ID_FILE
        if run.resume_at is not None and id_file.exists():
            self._id = id_file.read_text(encoding="utf-8").strip()
            self._seen = self._last_step()
            self._client.update_run(self._id, status="RUNNING")
        else:
            experiment = _experiment(self._client)
            made = self._client.create_run(experiment, run_name=run.folder.resolve().name)
            self._id, self._seen = made.info.run_id, -1
            params = [Param(k, str(v)[:_LONGEST_VALUE]) for k, v in run.options.items()]
            self._client.log_batch(self._id, params=params)
            atomic_write_text(id_file, f"{self._id}\n")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        if step > self._seen:
            now = int(time.time() * 1000)
            metrics = [Metric(name, value, now, step) for name, value in values.items()]
            self._client.log_batch(self._id, metrics=metrics)

    def preview(self, step: int, grid: Image.Image) -> None:
        file = f"previews/{step:08d}.png"  # the same step again replaces it
        self._client.log_image(self._id, grid.convert("RGB"), artifact_file=file)

    def close(self) -> None:
        self._client.set_terminated(self._id)

    def _last_step(self) -> int:
        name = "speed/images_per_second"
        return max((m.step for m in self._client.get_metric_history(self._id, name)), default=-1)


def _experiment(client: MlflowClient) -> str:
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "diptych")
    known = client.get_experiment_by_name(name)
    return str(known.experiment_id if known is not None else client.create_experiment(name))
