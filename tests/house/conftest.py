"""The templates as mappings, read once; `translated` is what CloudFormation gets to see."""

import subprocess
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from cfn_tools import load_yaml  # type: ignore[import-untyped]

ROOT: Final = Path(__file__).parents[2]
SAM: Final = ROOT / ".local/tools/sam/bin/python"
TRANSLATE: Final = """
import sys
from samcli.lib.translate.sam_template_validator import SamTemplateValidator
from samcli.yamlhelper import yaml_parse
from samtranslator.translator.managed_policy_translator import ManagedPolicyLoader

given = {"Stage": "production", "JwtIssuer": "https://issuer.test", "JwtAudience": "quotekit",
         "JwksUrl": "https://issuer.test/keys"}
validator = SamTemplateValidator(yaml_parse(sys.stdin.read()), ManagedPolicyLoader(None),
                                 region="eu-west-1", parameter_overrides=given)
print(validator.get_translated_template_if_valid())
"""


@cache
def read(name: str) -> dict[str, Any]:
    template: dict[str, Any] = load_yaml((ROOT / name).read_text())
    return template


@cache
def translate(text: str) -> dict[str, Any]:
    done = subprocess.run(
        [SAM, "-c", TRANSLATE], input=text, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    template: dict[str, Any] = load_yaml(done.stdout)
    return template


@pytest.fixture
def template() -> dict[str, Any]:
    return read("template.yaml")


@pytest.fixture
def database_stack() -> dict[str, Any]:
    return read("database.yaml")


@pytest.fixture
def web_stack() -> dict[str, Any]:
    return read("web.yaml")


@pytest.fixture
def translated() -> dict[str, Any]:
    return translate((ROOT / "template.yaml").read_text())
