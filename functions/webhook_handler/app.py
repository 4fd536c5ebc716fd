"""Being built."""


def lambda_handler(event: dict[str, object], context: object) -> dict[str, object]:
    raise NotImplementedError
