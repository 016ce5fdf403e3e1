"""Sessions of Apache Spark, and ranges of a topic of Kafka as their data frames. It needs the extra `spark`."""

import contextlib
import os
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

import pyspark
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from veleta.adapters.kafka_clients import sasl_mechanism
from veleta.adapters.spark_master import require_master
from veleta.errors import Retry
from veleta.events.catalogue import OffsetRange
from veleta.settings import KafkaSettings, SparkSettings
from veleta.timeouts import KAFKA_REQUEST_SECONDS

ARROW_BYTES = 8 * 2**20
"""The bytes of one Arrow batch between Spark and its Python workers. A record of the topic `rows` may have 100 KB."""
RECORDS = "key binary, value binary, partition int, offset bigint, headers array<struct<key string, value binary>>"
"""The columns of `read_ranges`."""
SPARK_ERRORS = (Py4JError, PySparkException)
"""What a session and its jobs raise."""
_STDERR = 2
_TASKS_PER_CORE = 2
_REDACTED = "(?i)secret|password|token|access[.]?key|jaas"
"""Options of Spark and of its sources whose values no plan and no log shows: Spark's own, and the login to Kafka."""
_MODULES = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}


@contextlib.contextmanager
def spark_session(
    settings: SparkSettings, kafka: KafkaSettings | None, name: str, scratch: Path, log: Path
) -> Iterator[SparkSession]:
    """A session with this name on the master of the settings, for as long as the block runs.

    It can read Kafka if `kafka` is given. A process has one session at a time; its Java process ends with the process.
    Its temporary files are in the folder `scratch`, which the caller deletes, also after a kill. What it would write
    to stderr goes to `log`.

    Raises:
        Retry: no master answers, or the session cannot start.
    """
    if on_cluster(settings):
        require_master(settings.master)
    scratch.mkdir(exist_ok=True)
    options = _configuration(settings, with_kafka=kafka is not None)
    # Libraries that Java unpacks, which a kill would leave in /tmp.
    options["spark.driver.extraJavaOptions"] = f'"-Djava.io.tmpdir={scratch}"'
    with _secret_file(settings, scratch) as secret, _errors(), _stderr_to(log):
        variables = _variables(settings) | {"SPARK_LOCAL_DIRS": str(scratch), "TMPDIR": str(scratch)} | secret
        with _environment(variables):
            builder = SparkSession.builder.master(settings.master).appName(name)
            spark = builder.config(map=options).getOrCreate()
    try:
        yield spark
    finally:
        spark.stop()


def on_cluster(settings: SparkSettings) -> bool:
    """Whether a session has executors elsewhere, and not only threads of its own Java process."""
    return settings.master.startswith("spark://")


def read_ranges(spark: SparkSession, kafka: KafkaSettings, topic: str, ranges: Sequence[OffsetRange]) -> DataFrame:
    """The records of a topic in these ranges and no others, with the columns RECORDS.

    A range is split between tasks. A job fails if records of a range are missing.
    """
    frames = [_read_range(spark, kafka, topic, each) for each in ranges]
    return reduce(DataFrame.unionAll, frames) if frames else spark.createDataFrame([], RECORDS)


def _read_range(spark: SparkSession, kafka: KafkaSettings, topic: str, part: OffsetRange) -> DataFrame:
    milliseconds = int(KAFKA_REQUEST_SECONDS * 1000)
    options = {
        "kafka.bootstrap.servers": kafka.bootstrap,
        "kafka.request.timeout.ms": milliseconds,
        "kafka.default.api.timeout.ms": milliseconds,
        "assign": f'{{"{topic}": [{part.partition}]}}',
        "startingOffsets": f'{{"{topic}": {{"{part.partition}": {part.first}}}}}',
        "endingOffsets": f'{{"{topic}": {{"{part.partition}": {part.last + 1}}}}}',  # Spark's end is exclusive
        "failOnDataLoss": True,
        "includeHeaders": True,
        "minPartitions": _TASKS_PER_CORE * spark.sparkContext.defaultParallelism,
    }
    frame = spark.read.format("kafka").options(**options, **_login(kafka)).load()
    return frame.select("key", "value", "partition", "offset", "headers")


def _login(kafka: KafkaSettings) -> dict[str, str]:
    if not kafka.user:
        return {}
    mechanism = sasl_mechanism(kafka.user)
    login = f"username={_quoted(kafka.user)} password={_quoted(kafka.password.get_secret_value())}"
    return {
        "kafka.security.protocol": "SASL_PLAINTEXT",
        "kafka.sasl.mechanism": mechanism,
        "kafka.sasl.jaas.config": f"{_MODULES[mechanism]} required {login};",
    }


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _configuration(settings: SparkSettings, *, with_kafka: bool) -> dict[str, object]:
    return {
        "spark.jars": ",".join(map(str, sorted(settings.jars.glob("*.jar")))) if with_kafka else "",
        "spark.driver.host": settings.driver_host,
        "spark.driver.bindAddress": _bind_address(settings),
        "spark.driver.memory": f"{settings.driver_memory}m",
        "spark.executor.memory": f"{settings.executor_memory}m",
        "spark.task.cpus": settings.task_cpus,
        "spark.authenticate": _secret(settings) is not None,
        "spark.redaction.regex": _REDACTED,
        "spark.sql.redaction.options.regex": _REDACTED,
        "spark.sql.execution.arrow.maxBytesPerBatch": ARROW_BYTES,
        "spark.sql.session.timeZone": "UTC",
        "spark.ui.enabled": False,
        "spark.ui.showConsoleProgress": False,
        "spark.log.level": "WARN",
    }


def _variables(settings: SparkSettings) -> dict[str, str]:
    """What Spark reads only from the environment."""
    variables = {
        "SPARK_HOME": str(Path(pyspark.__file__).parent),  # another installation would have other versions
        "PYSPARK_PYTHON": sys.executable,
    }
    if (address := _bind_address(settings)) == settings.driver_host:
        variables["SPARK_LOCAL_IP"] = address  # without it, Spark looks the machine's name up
    if secret := _secret(settings):
        variables["_SPARK_AUTH_SECRET"] = secret  # other accounts see arguments
    return variables


@contextlib.contextmanager
def _secret_file(settings: SparkSettings, scratch: Path) -> Iterator[dict[str, str]]:
    """The variables by which the driver of a cluster finds the secret: it refuses one from the environment.

    PySpark would pass an option of the session as an argument, which other accounts see.
    """
    secret = _secret(settings)
    if not secret or not on_cluster(settings):
        yield {}
        return
    with TemporaryDirectory(dir=scratch) as folder:
        escaped = secret.replace("\\", "\\\\")
        Path(folder, "spark-defaults.conf").write_text(f"spark.authenticate.secret {escaped}\n", encoding="utf-8")
        yield {"SPARK_CONF_DIR": folder}


def _secret(settings: SparkSettings) -> str | None:
    """What the processes of a session must know. Without it any account of the machine could use their ports."""
    if settings.secret:
        return settings.secret.get_secret_value()
    return None if on_cluster(settings) else secrets.token_hex()


def _bind_address(settings: SparkSettings) -> str:
    """The address of the driver's ports: an address of the settings itself, and all for a name, as in a container."""
    try:
        return str(ip_address(settings.driver_host))
    except ValueError:
        return "0.0.0.0"  # noqa: S104 - a name may have another address in each network of a container


@contextlib.contextmanager
def _stderr_to(log: Path) -> Iterator[None]:
    """Let processes that start while the block runs write to a log what they would write to stderr."""
    before = os.dup(_STDERR)
    try:
        with log.open("ab") as file:
            os.dup2(file.fileno(), _STDERR)
        yield
    finally:
        os.dup2(before, _STDERR)
        os.close(before)


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except SPARK_ERRORS as error:
        raise Retry("spark", f"the session could not start: {error}") from error


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process while the block runs."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
