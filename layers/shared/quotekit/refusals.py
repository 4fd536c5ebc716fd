"""What the database's triggers refuse, as errors of the house."""

import psycopg

from quotekit.errors import ConflictError, ForbiddenError, QuotaExceededError


def translated(error: psycopg.DatabaseError) -> Exception:
    """The house's error for what a trigger refused; any other error as it is."""
    message, limit = error.diag.message_primary, error.diag.message_detail
    match error.sqlstate:
        case "QK402":
            return QuotaExceededError(message, [{"field": "plan", "message": f"limit {limit}"}])
        case "QK403":
            return ForbiddenError(message)
        case "QK409":
            return ConflictError(message)
    return error
