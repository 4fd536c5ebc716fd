"""`aws` for the runbook's commands where the real one is not installed: what boto3 takes for them.

Knows what they use: `--query` (JMESPath), `--output text`, `--name value` for every parameter.
"""

import json
import sys
from typing import Any

import boto3
import jmespath  # type: ignore[import-untyped]


def main(service: str, action: str, *options: str) -> None:
    given = dict(zip(options[::2], options[1::2], strict=True))
    query, output = given.pop("--query", None), given.pop("--output", "json")
    parameters = {
        "".join(word.title() for word in name.removeprefix("--").split("-")): value
        for name, value in given.items()
    }
    client: Any = boto3.client(service)  # type: ignore[call-overload]
    answer = getattr(client, action.replace("-", "_"))(**parameters)
    answer.pop("ResponseMetadata")
    found = jmespath.search(query, answer) if query else answer
    sys.stdout.write(found if output == "text" else json.dumps(found, default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])
