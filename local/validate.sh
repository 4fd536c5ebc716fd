#!/usr/bin/env bash
# The templates, checked by AWS's own tool, by cfn-lint and by checkov; no account and no network needed.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.local/tools/python:$PATH"
tools=.local/tools

$tools/sam/bin/sam validate --lint >/dev/null
$tools/sam/bin/cfn-lint template.yaml database.yaml web.yaml
$tools/checks/bin/checkov --quiet --compact
