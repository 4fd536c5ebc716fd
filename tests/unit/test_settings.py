"""Settings from the environment: what is missing or malformed names itself, never its value."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from quotekit import settings
from quotekit.settings import (
    ApiSettings,
    AuthSettings,
    DatabaseSettings,
    DeploymentSettings,
    QueueSettings,
    Settings,
    SettingsError,
)

HUSH = "correct horse battery staple"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for setting in settings.documented():
        monkeypatch.delenv(setting.variable, raising=False)
    settings.forget()
    yield
    settings.forget()


def test_a_variable_is_the_prefix_and_the_name_of_the_field(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", HUSH)
    monkeypatch.setenv("DATABASE_POOL_MAX", "20")
    monkeypatch.setenv("DATABASE_POOL_MIN", "2")

    database = DatabaseSettings.load()

    assert database.url
    assert database.url.get_secret_value() == HUSH
    assert (database.pool_min, database.pool_max) == (2, 20)


def test_a_door_opens_one_connection_on_first_use_unless_told_otherwise(monkeypatch):
    monkeypatch.setenv("DATABASE_SECRET", "quotekit/database")

    database = DatabaseSettings.load()

    assert (database.pool_min, database.pool_max) == (0, 1)
    assert (database.statement_timeout, database.health_check_interval) == (30, 60)
    assert database.prepare_threshold is None


def test_a_missing_variable_names_itself():
    with pytest.raises(SettingsError) as caught:
        AuthSettings.load()

    assert str(caught.value) == (
        "AUTH_ISSUER: Field required; AUTH_AUDIENCE: Field required; AUTH_JWKS_URL: Field required"
    )


def test_an_empty_variable_is_a_missing_one(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("DATABASE_POOL_MAX", "")
    monkeypatch.setenv("DATABASE_SECRET", "quotekit/database")

    database = DatabaseSettings.load()

    assert (database.url, database.pool_max) == (None, 1)


@pytest.mark.parametrize(
    ("load", "variable", "value"),
    [
        (DatabaseSettings.load, "DATABASE_POOL_MAX", "many-secret"),
        (DatabaseSettings.load, "DATABASE_POOL_MAX", "-12"),
        (DatabaseSettings.load, "DATABASE_STATEMENT_TIMEOUT", "-7.25"),
        (DatabaseSettings.load, "DATABASE_CONNECT_TIMEOUT", "1"),
        (DatabaseSettings.load, "DATABASE_MIN_HEALTH", "101"),
        (DeploymentSettings.load, "STAGE", "produktion"),
        (ApiSettings.load, "API_BODY_LIMIT", "1MB"),
    ],
)
def test_a_malformed_variable_names_itself_and_not_its_value(monkeypatch, load, variable, value):
    monkeypatch.setenv("DATABASE_SECRET", "quotekit/database")
    monkeypatch.setenv(variable, value)

    with pytest.raises(SettingsError) as caught:
        load()

    name, _, explanation = str(caught.value).partition(": ")
    assert name == variable
    assert value not in explanation.split()
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "DATABASE_SECRET or DATABASE_URL is required"),
        (
            {"DATABASE_URL": HUSH, "DATABASE_POOL_MIN": "3"},
            "DATABASE_POOL_MIN exceeds DATABASE_POOL_MAX",
        ),
    ],
)
def test_variables_that_do_not_go_together_are_named(monkeypatch, variables, message):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=message) as caught:
        DatabaseSettings.load()

    assert HUSH not in str(caught.value)


def test_settings_do_not_print_a_secret(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", HUSH)

    assert HUSH not in repr(DatabaseSettings.load())


def test_settings_cannot_be_changed(monkeypatch):
    monkeypatch.setenv("STAGE", "staging")

    with pytest.raises(ValidationError):
        DeploymentSettings.load().stage = "production"


@pytest.mark.parametrize(
    ("value", "origins"),
    [
        ("https://a.example", ("https://a.example",)),
        (" https://a.example, https://b.example ,", ("https://a.example", "https://b.example")),
        ("", ()),
    ],
)
def test_a_list_is_parted_by_commas(monkeypatch, value, origins):
    monkeypatch.setenv("API_CORS_ORIGINS", value)

    assert ApiSettings.load().cors_origins == origins


def test_an_optional_setting_names_itself_to_whoever_needs_it(monkeypatch):
    monkeypatch.setenv("PDF_QUEUE_URL", "https://sqs.example/pdf")
    queues = QueueSettings.load()

    assert queues.need("pdf_queue_url") == "https://sqs.example/pdf"
    with pytest.raises(SettingsError, match=r"^MAIL_QUEUE_URL: Field required$"):
        queues.need("mail_queue_url")


def test_the_environment_is_read_once_until_forgotten(monkeypatch):
    first = settings.deployment_settings()
    monkeypatch.setenv("STAGE", "production")
    kept = settings.deployment_settings()
    settings.forget()

    assert kept is first
    assert settings.deployment_settings().stage == "production"


def test_every_setting_is_documented_under_a_name_of_its_own():
    documented = list(settings.documented())

    assert len({setting.variable for setting in documented}) == len(documented)
    assert [setting.variable for setting in documented if not setting.description] == []
    by_name = {setting.variable: setting for setting in documented}
    assert by_name["AUTH_ISSUER"].default == "required"
    assert by_name["DATABASE_POOL_MAX"].default == "1"
    assert by_name["DATABASE_URL"].default == ""


def test_every_class_has_a_loader_that_forget_reaches():
    assert len(settings.LOADERS) == len(Settings.__subclasses__())


def test_settings_import_nothing_heavy():
    code = "import sys, quotekit.settings; print(sorted({m.split('.')[0] for m in sys.modules}))"

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )

    for heavy in ("pydantic_settings", "boto3", "psycopg", "aws_lambda_powertools"):
        assert f"'{heavy}'" not in done.stdout
