"""Accounts, as administrators see them: the people of their own jurisdiction."""

from flask import Blueprint

blueprint = Blueprint("accounts", __name__)
