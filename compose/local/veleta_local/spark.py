"""Apache Spark for a run with ENGINE=spark: what it needs, and the settings of the services that use it."""

from collections.abc import Callable, Iterator, Mapping

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
    return {**_session(run, master(run)), "SPARK_JARS": str(downloads.spark_jars())}


def of_command(run: Deployment, given: Mapping[str, str], report: Callable[[str], None]) -> dict[str, str]:
    """The variables of a command for the engine: ENGINE and SPARK_MASTER that are given, otherwise those of the run.

    What the engine needs is installed.
    """
    engine = given.get("ENGINE") or run.variables.engine
    if engine != "spark":
        return {"ENGINE": engine}
    downloads.ensure_pyspark(report)
    return {"ENGINE": engine, **_session(run, given.get("SPARK_MASTER") or master(run))}


def _session(run: Deployment, chosen: str) -> dict[str, str]:
    """The variables of a session on a master. Only the run's own cluster gets its secret."""
    secret = {"SPARK_SECRET": run.spark_secret} if chosen == SparkCluster(run).address else {}
    return {"SPARK_MASTER": chosen, **secret}


def faults(run: Deployment) -> Iterator[str]:
    """A line if the master of the run does not answer."""
    if run.variables.engine == "spark":
        try:
            require_master(master(run))
        except Retry as error:
            yield f"{error}: make spark-up starts one on this machine, SPARK_MASTER={WITHOUT_CLUSTER} needs none"
