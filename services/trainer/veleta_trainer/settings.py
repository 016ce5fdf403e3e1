"""The trainer's settings."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from veleta.bounds import Engine, Megabytes, Port, Rows, Seconds, Seed, Trees, Workers
from veleta.settings import KafkaSettings, MlflowSettings, MysqlSettings, ServiceSettings


class TrainerSettings(ServiceSettings):
    """Variables that start with TRAINER_."""

    model_config = SettingsConfigDict(env_prefix="TRAINER_", frozen=True)
    port: Port = Field(8094, description="the port of /livez, /readyz and /metrics")
    work: Path = Field(description="the folder for a training's files until they are in MLflow")
    engine: Engine = Field(
        "local", validation_alias="ENGINE", description="what fits models and measures batches: this machine, or Spark"
    )
    trees: Trees = Field(500, description="trees of a model")
    depth: int = Field(6, ge=1, le=10, description="depth of a tree")
    seed: Seed = Field(0, description="random seed of CatBoost; part of each recipe")
    threads: Workers = Field(2, description="threads that CatBoost may use; they do not affect the result")
    fit_seconds: Seconds = Field(14_400.0, description="seconds that a fit may take; then the training fails")
    fit_memory: Megabytes = Field(
        0, description="megabytes that a fit may use; then the training fails. 0: nine tenths of all memory"
    )
    max_rows: Rows = Field(0, description="training rows that a model learns from, sampled by property; 0: all")
    cache: Megabytes = Field(1_000, description="megabytes of cleaned batches in TRAINER_WORK; 0: none are cached")
    lease_seconds: Seconds = Field(10.0, description="seconds until a lease that is not renewed expires")
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    mysql: MysqlSettings = Field(default_factory=MysqlSettings)
    mlflow: MlflowSettings = Field(default_factory=MlflowSettings)
