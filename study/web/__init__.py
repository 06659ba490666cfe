"""The rater's pages: server-rendered, blind, and good without a script."""

from study.web.app import create_app, serve
from study.web.pages import Offer

__all__ = ["Offer", "create_app", "serve"]
