"""`python -m veleta_trainer`."""

from veleta.service.lifecycle import serve
from veleta_trainer.bootstrap import build
from veleta_trainer.settings import TrainerSettings

if __name__ == "__main__":
    serve("trainer", TrainerSettings, build)
