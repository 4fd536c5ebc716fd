#!/usr/bin/env bash
# Resolve pyproject.toml into the hashed lock files. They name no registry, so they work with any.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${UV:-.local/tools/bootstrap/bin/uv}

compile() { # output, then what to resolve
    local output=$1
    shift
    "$uv" pip compile pyproject.toml "$@" --python-version 3.13 --universal --generate-hashes \
        --no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet --output-file "$output"
}
only() { # output, group: the group alone, without the layer's libraries
    local output=$1 group=$2
    "$uv" pip compile --group "$group" --python-version 3.13 --universal --generate-hashes \
        --no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet --output-file "$output"
}

compile layers/dependencies/requirements.txt
compile requirements.lock --group dev
compile local/requirements/bench.txt --group dev --group bench
only functions/quote_pdf_generator/requirements.txt pdf
only functions/batch_worker/requirements.txt pdf
only functions/database_migrator/requirements.txt migrator
only functions/subscription_status/requirements.txt billing
only functions/invoice_manager/requirements.txt billing
only functions/quote_portal/requirements.txt billing
only local/requirements/runtime.txt runtime
only local/requirements/emulator.txt emulator
only local/requirements/sam.txt sam
only local/requirements/checks.txt checks
only local/requirements/load.txt load
only local/requirements/node.txt node
