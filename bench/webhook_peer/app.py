"""The same handler as it is usually written: the vendor's library and boto3."""

import base64
import json
import os
from functools import cache
from typing import Any

import boto3
import stripe

sqs = boto3.client("sqs")
secrets = boto3.client("secretsmanager")


@cache
def secret() -> str:
    found = secrets.get_secret_value(SecretId=f"{os.environ['WEBHOOK_SECRETS']}/stripe")
    text: str = json.loads(found["SecretString"])["secrets"][0]
    return text


def lambda_handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    body = event["body"]
    payload = base64.b64decode(body) if event["isBase64Encoded"] else body.encode()
    try:
        said = stripe.Webhook.construct_event(
            payload, event["headers"].get("stripe-signature"), secret()
        )
    except (ValueError, stripe.SignatureVerificationError):
        return {"statusCode": 400, "body": "{}"}
    message = {"source": "stripe", "event_id": said.id, "type": said.type, "body": payload.decode()}
    sqs.send_message(
        QueueUrl=os.environ["WEBHOOKS_CRITICAL_QUEUE_URL"],
        MessageBody=json.dumps(message),
        MessageGroupId="stripe",
    )
    return {"statusCode": 200, "body": json.dumps({"received": True, "id": said.id})}
