"""Write docs/openapi.json."""

import json
import os
from pathlib import Path
from typing import Final

PLACE: Final = Path(__file__).parents[1] / "openapi.json"


def text() -> str:
    """The document as it is committed."""
    for name in ("SERVICE_NAME", "METRICS_NAMESPACE"):  # the doors' logger wants them
        os.environ.setdefault(f"POWERTOOLS_{name}", "openapi")
    from docs.openapi.document import document

    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PLACE.write_text(text())
