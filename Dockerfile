# The training image: what a step needs to run as a job, and no Airflow. The same command starts a
# step everywhere, so that a model moves between machines by its YAML alone.
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
