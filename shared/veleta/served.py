"""The file that MLflow executes to load a registered model: code instead of a pickled object."""

from mlflow.models import set_model

from veleta.pyfunc import RawRowModel

set_model(RawRowModel())
