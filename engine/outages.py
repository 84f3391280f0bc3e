"""Whether the database itself failed, and not what was asked of it: then there is nothing to mend, only to wait."""

from __future__ import annotations

import sqlite3

import psycopg
import sqlalchemy as sa

# SQLite calls misspelt statements by the same kind of error, so its codes tell the difference.
_SQLITE = ("SQLITE_BUSY", "SQLITE_CANTOPEN", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_LOCKED", "SQLITE_READONLY")


def is_outage(error: BaseException) -> bool:
    """Away, overrun, without disk space, or without a free connection."""
    if isinstance(error, (sa.exc.TimeoutError, sa.exc.DisconnectionError, sa.exc.PendingRollbackError)):
        # The last of them is told to whoever goes on with a transaction whose connection was lost.
        return True
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorname", "").startswith(_SQLITE)
    return isinstance(cause, (psycopg.OperationalError, psycopg.InterfaceError))
