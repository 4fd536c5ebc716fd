"""A temporary door: the template needs a folder to build."""


def lambda_handler(event: object, context: object) -> dict[str, str]:
    return {"status": "not written yet"}
