"""Sessions of Apache Spark, and ranges of a topic of Kafka as their data frames. It needs the extra `spark`."""

import contextlib
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

import pyspark
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from veleta.adapters.kafka_clients import sasl_mechanism
from veleta.adapters.spark_master import on_cluster, require_master
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
EXECUTOR_SECONDS, WATCH_SECONDS = 5.0, 30.0
"""How long a session may have no executor until that is reported, and between two reports without a change."""
_PAUSE_SECONDS = 0.5
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
        with contextlib.suppress(*SPARK_ERRORS, OSError):  # the Java process may have ended
            spark.stop()


@contextlib.contextmanager
def watched_executors(spark: SparkSession, report: Callable[[bool], None]) -> Iterator[None]:
    """Report whether the session waits for its first executor, or a new one, while the block runs.

    That is so while other applications have all cores of the cluster. The report is repeated each WATCH_SECONDS, also
    if nothing has changed, which shows that the process of the session is alive. It is called from another thread.
    """
    ended = threading.Event()
    thread = threading.Thread(target=_watch, args=(spark, report, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _watch(spark: SparkSession, report: Callable[[bool], None], ended: threading.Event) -> None:
    missing = reported = time.monotonic()
    waited = False
    with contextlib.suppress(*SPARK_ERRORS, OSError):  # the Java process has ended
        while not ended.wait(_PAUSE_SECONDS):
            now = time.monotonic()
            if _has_executors(spark):
                missing = now
            waits = now - missing >= EXECUTOR_SECONDS
            if waits != waited or now - reported >= WATCH_SECONDS:
                waited, reported = waits, now
                report(waits)


def _has_executors(spark: SparkSession) -> bool:
    """Whether there are executors beside the driver, which is one itself without a cluster."""
    context = spark.sparkContext
    known: int = context._jsc.sc().getExecutorMemoryStatus().size()
    return known > 1 or not on_cluster(context.master)


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
    if not secret or not on_cluster(settings.master):
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
    return None if on_cluster(settings.master) else secrets.token_hex()


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
