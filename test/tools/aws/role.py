"""The client in Python (boto3), see package aws."""
import sys

import boto3
from botocore.exceptions import ClientError

session = boto3.Session()
# Debian's botocore knows no variable that names an endpoint: IAM's is given here.
endpoint = sys.argv[1] if len(sys.argv) > 1 else None


def did(what, name):
    if what == "whoami":
        arn = session.client("sts").get_caller_identity()["Arn"]
        return arn + " " + session.get_credentials().get_frozen_credentials().access_key
    iam = session.client("iam", endpoint_url=endpoint)
    if what == "role":
        return iam.get_role(RoleName=name)["Role"]["Arn"]
    if what == "roles":
        return " ".join(r["RoleName"] for r in iam.list_roles()["Roles"])
    raise ValueError(f"what is {what!r}?")


for line in sys.stdin:
    what, _, name = line.strip().partition(" ")
    try:
        said = did(what, name)
    except ClientError as e:
        said = "error {Code}: {Message}".format(**e.response["Error"])
    except Exception as e:
        said = f"error client: {e}".replace("\n", " ")
    print(said, flush=True)
