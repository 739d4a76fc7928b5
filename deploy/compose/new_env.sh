#!/bin/sh
# Writes .env with new secrets for docker-compose.yaml: `new_env.sh FILE PORT` (`make env`).
# A file that is there is never touched: what was encrypted with its keys could not be read any more.
set -eu
file=$1
port=$2

hex() { od -An -v -tx1 -N "$1" /dev/urandom | tr -d ' \n'; }

draft=$(mktemp "$file.XXXXXX")  # its owner alone can read it
trap 'rm -f "$draft"' EXIT
cat >"$draft" <<END
# Secrets and settings of docker-compose.yaml. Keep a copy in a safe place; never commit it.

# The first login is user admin with this password. A change here does not change it later: do that in
# Airflow, Security > Users.
ADMIN_PASSWORD=$(hex 12)

# Where people find Airflow, and the port that it is published on, on this host alone. For others set
# BIND_ADDRESS, or better put a proxy with TLS before it, and PUBLIC_URL to its address.
PUBLIC_URL=http://127.0.0.1:$port
AIRFLOW_PORT=$port

# Where everything is kept: a volume, or s3://BUCKET/PREFIX with options such as
# '{"AWS_ACCESS_KEY_ID": "…", "AWS_SECRET_ACCESS_KEY": "…", "AWS_REGION": "eu-west-3"}'.
RETRAINING_STORE=file:///opt/airflow/store
RETRAINING_STORE_OPTIONS={}

# Slack's incoming webhook. This one is the stand-in of the profile demo, which also lands sample data:
# take COMPOSE_PROFILES out when you have your own.
SLACK_WEBHOOK_URL=http://slack:9999/services/T00000000/B00000000/demo
COMPOSE_PROFILES=demo

# Each worker's memory and tasks at a time.
WORKER_MEMORY=4g
WORKER_CONCURRENCY=4

# How many days Airflow's database keeps a run that has ended; the records in the store stay for ever.
RETRAINING_DATABASE_DAYS=90

# Random; nobody types these.
FERNET_KEY=$(head -c 32 /dev/urandom | base64 | tr '+/' '-_')
JWT_SECRET=$(hex 64)
API_SECRET_KEY=$(hex 32)
POSTGRES_PASSWORD=$(hex 24)
REDIS_PASSWORD=$(hex 24)
WATCHDOG_PASSWORD=$(hex 24)
END
# A link fails where there is a file already, also one that was made a moment ago.
if ! ln "$draft" "$file" 2>/dev/null; then
    echo "$file is there already and stays as it is; to begin anew, remove it and the volumes (make down VOLUMES=1)" >&2
    exit 1
fi
echo "$file was written: secrets are in it, the first login is admin with ADMIN_PASSWORD"
