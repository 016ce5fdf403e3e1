"""What MLflow runs to load a registered model: code, no pickled object."""

from mlflow.models import set_model

from veleta.pyfunc import RawRowModel

set_model(RawRowModel())
