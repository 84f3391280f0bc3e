"""The audit log, as auditors search it."""

from flask import Blueprint

blueprint = Blueprint("audit", __name__)
