"""`python -m veleta_inference`."""

from veleta.service import serve
from veleta_inference.bootstrap import build
from veleta_inference.settings import InferenceSettings

if __name__ == "__main__":
    serve("inference", InferenceSettings, build)
