# syntax=docker/dockerfile:1
# The image of one project: docker build --build-arg PROJECT=services/loader --build-arg NAME=loader .
# Without a variable, so that Dependabot can update the tag, and a digest after it.
FROM python:3.11-slim AS python

FROM python AS dependencies
ENV PIP_CACHE_DIR=/cache/pip UV_CACHE_DIR=/cache/uv
COPY compose/local/uv.txt ./
RUN --mount=type=cache,target=/cache \
    pip install --disable-pip-version-check --root-user-action=ignore --require-hashes --requirement uv.txt
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 VIRTUAL_ENV=/opt/venv
RUN uv venv --quiet /opt/venv
WORKDIR /build
ARG PROJECT
COPY <<EOF pyproject.toml
[tool.uv.workspace]
members = ["shared", "${PROJECT}"]
EOF
COPY requirements.lock ./
COPY shared/pyproject.toml shared/
COPY ${PROJECT}/pyproject.toml ${PROJECT}/
# The dependencies of this project, with the versions and hashes of the lock.
RUN --mount=type=cache,target=/cache \
    uv pip compile --quiet --no-header --no-annotate --constraints requirements.lock --no-emit-package veleta \
        --output-file pins.txt ${PROJECT}/pyproject.toml && \
    uv pip install --require-hashes --no-deps --constraints requirements.lock --requirements pins.txt

# What Apache Spark needs in addition: PySpark, which has no wheel, and its source for Kafka. As in a local run.
# Executors have the trainer's dependencies. The code of inference that they run needs msgspec too.
FROM dependencies AS spark-dependencies
COPY requirements-spark.lock ./
RUN --mount=type=cache,target=/cache \
    echo msgspec | uv pip compile --quiet --no-header --no-annotate --constraints requirements.lock --output-file more.txt - && \
    uv pip install --target /opt/spark --require-hashes --no-deps --requirement requirements-spark.lock \
        --build-constraints requirements-spark.lock --constraints requirements.lock --requirement more.txt && \
    uv pip uninstall --target /opt/spark setuptools

FROM python AS spark-jars
RUN apt-get update && apt-get install --yes --no-install-recommends maven
WORKDIR /build
COPY compose/local/spark/pom.xml compose/local/spark/jars.sha256 ./
RUN --mount=type=cache,target=/root/.m2 \
    mvn --quiet --strict-checksums org.apache.maven.plugins:maven-dependency-plugin:3.7.0:copy-dependencies \
        -DoutputDirectory=/jars -DincludeScope=runtime && \
    cd /jars && sha256sum --check --strict /build/jars.sha256

FROM python AS service
# A new volume gets its owner from the folder of the image at its path. veleta.users declares the parts.
RUN pip uninstall --yes --quiet --root-user-action=ignore pip setuptools wheel && \
    useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin veleta && \
    install --directory --owner=veleta /data && \
    for part in kafka mysql mlflow prepare source poller loader drift trainer inference retention monitor notebooks spark; do \
        install --directory --owner=veleta /secrets/$part; \
    done
COPY --from=dependencies /opt/venv /opt/venv
ARG PROJECT NAME
# Everyone in the image can read the code, also if only its owner can read the clone (umask 077).
# The mode is a number: Docker 26.1 turns a+rX into 000.
COPY --chmod=755 shared/veleta /app/veleta
COPY --chmod=755 ${PROJECT}/veleta_${NAME} /app/veleta_${NAME}
# The file system is read-only except /data and /tmp. The MALLOC variables make glibc return memory, as in the local run.
ENV NAME=${NAME} PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LANG=C.UTF-8 \
    HOME=/tmp NUMBA_CACHE_DIR=/tmp/numba MPLCONFIGDIR=/tmp/matplotlib GIT_PYTHON_REFRESH=quiet \
    MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=1048576
USER 10001
WORKDIR /data
ENTRYPOINT ["sh", "-c", "exec python -m veleta_$NAME \"$@\"", "veleta"]

FROM service AS notebooks
COPY --chmod=755 notebooks/*.ipynb /notebooks/

# A part with Spark. Master and workers have the trainer's image: executors run functions of each part.
FROM service AS spark
USER root
RUN apt-get update && apt-get install --yes --no-install-recommends default-jre-headless && rm -rf /var/lib/apt/lists/*
COPY --from=spark-dependencies /opt/spark /opt/spark
COPY --from=spark-jars --chmod=755 /jars /opt/spark-jars
COPY --chmod=755 services/drift/veleta_drift /app/veleta_drift
COPY --chmod=755 services/inference/veleta_inference /app/veleta_inference
ENV PATH=/opt/spark/bin:$PATH PYTHONPATH=/app:/opt/spark
USER 10001

# In front of replicas of inference: compose/scale.yaml. Before 3.1 a new replica would get requests unchecked.
FROM haproxy:3.2 AS balancer
COPY --chmod=755 compose/balancer.cfg /usr/local/etc/haproxy/haproxy.cfg

FROM service
