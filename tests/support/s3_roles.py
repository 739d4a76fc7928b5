"""An S3 server that enforces the sample policies of deploy/iam, and the keys of each role."""

from __future__ import annotations

import json
import re
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from include.retraining.store.object_store import Store
from tests.conftest import S3_OPTIONS, s3_server
from tests.support.s3_proxy import Proxy, s3_proxy

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "iam"
ROLES = ("trainer", "scorer", "promoter", "pages", "reader", "cleaner")
PREFIX = "prefix"
EVERYTHING = json.dumps({
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
})


def policy(name: str, bucket: str = "BUCKET") -> dict[str, Any]:
    """Return a policy for a bucket."""
    text = (FOLDER / f"{name}.json").read_text()
    return dict(json.loads(text.replace("BUCKET", bucket).replace("PREFIX", PREFIX)))


@dataclass
class Roles:
    """A bucket on a server that enforces IAM, behind a proxy that keeps its requests."""

    uri: str
    proxy: Proxy
    keys: dict[str, dict[str, str]]

    def store(self, role: str) -> Store:
        """Open the store with the keys of a role."""
        return Store(self.uri, self.keys[role])

    def remove(self, role: str, key: str) -> None:
        """Remove one object with the keys of a role.

        Our storage library asks to remove a list of one, and for that moto looks at the right to
        remove the bucket; S3 looks at that to remove each object, as both do here.
        """
        keys = self.keys[role]
        bucket, _, prefix = self.uri.removeprefix("s3://").partition("/")
        boto3.client(
            "s3",
            endpoint_url=self.proxy.endpoint,
            region_name=keys["AWS_REGION"],
            aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
        ).delete_object(Bucket=bucket, Key=f"{prefix}/{key}")

    def asked(self, method: str) -> Iterator[str]:
        """Yield the keys of the requests with that method."""
        for asked, address in self.proxy.requests:
            key = re.match(rf"/[^/]+/{PREFIX}/([^?]+)", address)
            if asked == method and key:
                yield key[1]

    def replacing(self) -> list[str]:
        """Return the keys of the writes that would have replaced an object."""
        found = (re.match(rf"/[^/]+/{PREFIX}/([^?]+)", one) for one in self.proxy.unconditional)
        return [key[1] for key in found if key]


@contextmanager
def s3_roles(folder: Path) -> Iterator[Roles]:
    """Start the server; each role has its policy and its keys, and `owner` may do everything.

    Args:
        folder: for the server's log.
    """
    with (
        s3_server(folder / "moto.log") as server,
        s3_proxy(server) as proxy,
    ):
        account = {
            "endpoint_url": server,
            "region_name": S3_OPTIONS["AWS_REGION"],
            "aws_access_key_id": S3_OPTIONS["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": S3_OPTIONS["AWS_SECRET_ACCESS_KEY"],
        }
        bucket = f"test-{uuid.uuid4().hex[:12]}"
        boto3.client("s3", **account).create_bucket(Bucket=bucket)
        iam = boto3.client("iam", **account)
        keys = {"owner": _user(iam, "owner", EVERYTHING)}
        for role in ROLES:
            keys[role] = _user(iam, role, json.dumps(policy(role, bucket)))
        # From the next request on, nobody does anything that no policy allows.
        request = urllib.request.Request(
            f"{server}/moto-api/reset-auth",
            data=b"0",
            headers={"Content-Type": "application/octet-stream"},
        )
        urllib.request.urlopen(request).close()
        options = {**S3_OPTIONS, "AWS_ENDPOINT_URL": proxy.endpoint}
        yield Roles(
            f"s3://{bucket}/{PREFIX}", proxy, {role: options | key for role, key in keys.items()}
        )


def _user(iam: Any, name: str, document: str) -> dict[str, str]:
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=document)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return {
        "AWS_ACCESS_KEY_ID": made["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"],
    }
