# Three images: `training`, what a job needs and no Airflow; `lambda`, the same for AWS Lambda; and
# `airflow`, Airflow with all of this.

# Any image with Airflow 3.3.2, a user of its own and AIRFLOW_HOME; see docs/deployment/compose.md.
ARG AIRFLOW_BASE=apache/airflow:3.3.2-python3.12

# ---- training -----------------------------------------------------------------------------------
# What a step needs to run as a job. The same command starts a step everywhere, so that a model
# moves between machines by its YAML alone.
#
#   docker build --target training --build-arg GIT_SHA=$(git rev-parse HEAD) -t training .
#   docker run training validate --run s3://bucket/models/NAME/runs/RUN --attempt by-hand

FROM python:3.12-slim-bookworm AS training

# A fixed uid, so that a platform can insist on it (Kubernetes' runAsNonRoot wants a number).
RUN groupadd --gid 10001 trainer \
    && useradd --uid 10001 --gid trainer --no-create-home --home-dir /tmp --shell /usr/sbin/nologin \
        trainer

WORKDIR /opt/retraining

# Only wheels with known hashes. The lock is part of the code's digest and stays where it is read.
COPY include/retraining/requirements.txt include/retraining/requirements.txt
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action ignore \
        --require-hashes --only-binary :all: -r include/retraining/requirements.txt

# Libraries of single models (docs/extras.md): all of include/extras/, or those that are named here.
# LightGBM and others take OpenMP's runtime from the system, and slim images have none.
ARG EXTRAS=
COPY include/extras include/extras
RUN for extra in ${EXTRAS:-$(ls include/extras | sed -n 's/\.txt$//p')}; do \
        ldconfig -p | grep -q libgomp.so.1 || { \
            apt-get update -qq && apt-get install -y -qq --no-install-recommends libgomp1 \
            && rm -rf /var/lib/apt/lists/*; } || exit 1; \
        pip install --no-cache-dir --disable-pip-version-check --root-user-action ignore \
            --require-hashes --only-binary :all: -r "include/extras/$extra.txt" || exit 1; \
    done

COPY include/__init__.py include/__init__.py
COPY include/retraining include/retraining
COPY include/models include/models
# Whatever umask the checkout was made with, the user below can read it.
RUN chmod -R a+rX include

# The root filesystem may be read-only when /tmp is a volume: a delivery is downloaded to it, and
# nothing is written elsewhere.
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MPLCONFIGDIR=/tmp/matplotlib

# Last, because each commit changes it.
ARG GIT_SHA=
LABEL org.opencontainers.image.revision=$GIT_SHA
ENV GIT_SHA=$GIT_SHA

USER 10001:10001
# Process 1 of a container does not die of SIGTERM unless it says so. A job leaves nothing half done
# wherever it ends, so it ends at once, and no platform waits half a minute for it.
STOPSIGNAL SIGKILL
ENTRYPOINT ["python", "-m", "include.retraining"]

# ---- lambda -------------------------------------------------------------------------------------
# The training image with a handler: AWS's client asks Lambda for events and gives them to it.
#
#   docker build --target lambda --build-arg GIT_SHA=$(git rev-parse HEAD) -t training-lambda .

FROM training AS lambda

USER root
COPY deploy/lambda/requirements.txt /opt/lambda/requirements.txt
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action ignore \
        --require-hashes --only-binary :all: -r /opt/lambda/requirements.txt
USER 10001:10001
ENTRYPOINT ["python", "-m", "awslambdaric"]
CMD ["include.retraining.steps.lambda_handler.handle"]

# ---- airflow ------------------------------------------------------------------------------------
# Every service of Airflow, with the DAGs, plugins and `include` of one commit baked in.
#
#   docker build --target airflow --build-arg GIT_SHA=$(git rev-parse HEAD) -t retraining-airflow .

FROM ${AIRFLOW_BASE} AS repository

USER root
WORKDIR /opt/retraining
COPY .airflowignore airflow_settings.yaml ./
COPY include include
COPY plugins plugins
COPY dags dags
# Readable whatever umask the checkout was made with, and compiled here: nobody can write there
# later, and every task would compile it anew.
RUN chmod -R a+rX . \
    && python -m compileall -q --invalidation-mode unchecked-hash dags include plugins
# OpenMP's runtime for extras, where the base lacks it.
RUN mkdir /opt/system \
    && if ls include/extras/*.txt >/dev/null 2>&1 && ! ldconfig -p | grep -q libgomp.so.1; then \
        apt-get update -qq && apt-get install -y -qq --no-install-recommends libgomp1 \
        && cp -L /usr/lib/*/libgomp.so.1 /opt/system/; fi

FROM ${AIRFLOW_BASE} AS airflow

# Over what the base brings, so that what runs is what the lock names and what was tested.
COPY requirements.txt /opt/requirements.txt
RUN python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes \
        --only-binary :all: -r /opt/requirements.txt \
    # A volume that is mounted there belongs to Airflow's user.
    && mkdir -p "${AIRFLOW_HOME}/logs" "${AIRFLOW_HOME}/store"

# Libraries of single models (docs/extras.md): all of include/extras/, or those that are named here.
ARG EXTRAS=
COPY --from=repository /opt/system /usr/lib
COPY include/extras /opt/extras
RUN for extra in ${EXTRAS:-$(ls /opt/extras | sed -n 's/\.txt$//p')}; do \
        python -m pip install --no-cache-dir --disable-pip-version-check \
            --require-hashes --only-binary :all: -r "/opt/extras/$extra.txt" || exit 1; \
    done

COPY --from=repository /opt/retraining /opt/retraining

# The root of the repository is the bundle. It is not on the import path and not the working
# directory: `include` comes from the bundle that a run is pinned to, this one or one from git.
ENV AIRFLOW__CORE__LOAD_EXAMPLES=False \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/retraining/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/retraining/plugins \
    AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST='[{"name": "retraining", "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle", "kwargs": {"path": "/opt/retraining"}}]' \
    # The folder of a run is named after its id; a longer one cannot be a file name.
    AIRFLOW__SCHEDULER__ALLOWED_RUN_ID_PATTERN='^[A-Za-z0-9_.~:+-]{1,120}$' \
    MPLCONFIGDIR=/tmp/matplotlib

# Last, because each commit changes it.
ARG GIT_SHA=
LABEL org.opencontainers.image.revision=$GIT_SHA
ENV GIT_SHA=$GIT_SHA
