"""Apache Spark for a run with ENGINE=spark: what it needs, and the settings of the services that use it."""

from collections.abc import Callable, Iterator

from veleta.adapters.spark_master import require_master
from veleta.errors import Retry
from veleta_local import downloads
from veleta_local.deployment import WITH_ENGINE, Deployment
from veleta_local.spark_cluster import SparkCluster
from veleta_local.variables import WITHOUT_CLUSTER


def master(run: Deployment) -> str:
    """SPARK_MASTER of the run, otherwise the cluster of `make spark-up` if it is up, otherwise threads."""
    return run.variables.spark_master or SparkCluster(run).address or WITHOUT_CLUSTER


def ensure(run: Deployment, report: Callable[[str], None]) -> None:
    """Install what the engine of the run needs, and report the master."""
    if run.variables.engine == "spark":
        downloads.ensure_pyspark(report)
        downloads.ensure_spark_jars(report)
        report(f"Apache Spark reads batches and fits models: {master(run)}")


def environment(run: Deployment, service: str) -> dict[str, str]:
    """The variables of a service for the engine."""
    if run.variables.engine != "spark" or service not in WITH_ENGINE:
        return {}
    chosen, own = master(run), SparkCluster(run).address
    secret = {"SPARK_SECRET": run.spark_secret} if chosen == own else {}
    return {"SPARK_MASTER": chosen, "SPARK_JARS": str(downloads.spark_jars()), **secret}


def faults(run: Deployment) -> Iterator[str]:
    """A line if the master of the run does not answer."""
    if run.variables.engine == "spark":
        try:
            require_master(master(run))
        except Retry as error:
            yield f"{error}: make spark-up starts one on this machine, SPARK_MASTER={WITHOUT_CLUSTER} needs none"
